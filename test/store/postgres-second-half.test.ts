import { postgresContract } from './support/postgres-contract.ts'

postgresContract(2)
