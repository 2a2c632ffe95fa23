import { postgresContract } from './support/postgres-contract.ts'

postgresContract(1, { isHostile: true })
