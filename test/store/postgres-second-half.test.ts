import { postgresContract } from './support/postgres-contract.ts'

// Either half keeps its promises whatever the defaults of the database are. One of them shows it.
postgresContract(2, { isHostile: true })
