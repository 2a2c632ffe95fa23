/** The parts of the peers that their bench uses: they are not installed with callme's own dependencies. */
declare module 'graphile-worker' {
  interface Spec {
    readonly runAt: Date
  }

  interface Job extends Spec {
    readonly identifier: string
    readonly payload: unknown
  }

  interface Client {
    query(sql: string): Promise<{ readonly rows: readonly { readonly count: string }[] }>
  }

  export interface WorkerUtils {
    migrate(): Promise<void>
    addJob(identifier: string, payload: unknown, spec: Spec): Promise<unknown>
    addJobs(jobs: readonly Job[]): Promise<unknown>
    withPgClient<T>(use: (client: Client) => Promise<T>): Promise<T>
  }

  interface WorkerOptions {
    readonly connectionString: string
    readonly concurrentJobs: number
    readonly maxPoolSize: number
    readonly localQueue: { readonly size: number }
    /** ms */
    readonly completeJobBatchDelay: number
    /** ms */
    readonly failJobBatchDelay: number
  }

  interface RunnerOptions {
    readonly preset: { readonly worker: WorkerOptions }
    readonly taskList: Readonly<Record<string, (payload: unknown) => Promise<void>>>
    readonly logger: Logger
  }

  export class Logger {
    constructor(factory: () => (level: string, message: string) => void)
    error(message: string): void
  }

  export function makeWorkerUtils(options: { readonly connectionString: string }): Promise<WorkerUtils>
  export function run(options: RunnerOptions): Promise<unknown>
}

declare module 'pg-boss' {
  interface Job<T> {
    readonly id: string
    readonly data: T
  }

  interface JobResult {
    readonly id: string
    readonly status: 'completed' | 'failed'
    readonly output?: object
  }

  interface WorkOptions {
    readonly batchSize: number
    readonly perJobResults: true
    readonly burstWhenBatchFull: boolean
  }

  export class PgBoss {
    constructor(connectionString: string)
    on(event: 'error', listener: (error: Error) => void): this
    start(): Promise<unknown>
    createQueue(name: string): Promise<void>
    send(name: string, data: object, options: { readonly startAfter: Date }): Promise<unknown>
    insert(name: string, jobs: readonly { readonly data: object; readonly startAfter: Date }[]): Promise<unknown>
    getDb(): { executeSql(sql: string): Promise<{ readonly rows: readonly { readonly count: string }[] }> }
    work<T>(name: string, options: WorkOptions, handler: (jobs: readonly Job<T>[]) => Promise<JobResult[]>): Promise<string>
  }
}

declare module 'bullmq' {
  interface Connection {
    readonly host: string
    readonly port: number
    readonly db: number
  }

  interface JobOptions {
    /** ms */
    readonly delay: number
  }

  export class Queue<T> {
    constructor(name: string, options: { readonly connection: Connection })
    on(event: 'error', listener: (error: Error) => void): this
    waitUntilReady(): Promise<unknown>
    add(name: string, data: T, options: JobOptions): Promise<unknown>
    addBulk(jobs: readonly { readonly name: string; readonly data: T; readonly opts: JobOptions }[]): Promise<unknown>
    getJobCounts(...types: readonly string[]): Promise<Readonly<Record<string, number>>>
  }

  export class Worker<T> {
    constructor(
      name: string,
      processor: (job: { readonly data: T }) => Promise<void>,
      options: { readonly connection: Connection; readonly concurrency: number },
    )
    on(event: 'error', listener: (error: Error) => void): this
    waitUntilReady(): Promise<unknown>
  }
}

declare module 'plainjob' {
  import type Database from 'better-sqlite3'

  interface Logger {
    error(message: string): void
    warn(message: string): void
    info(message: string): void
    debug(message: string): void
  }

  interface JobOptions {
    /** ms */
    readonly delay: number
  }

  export interface Queue {
    add(type: string, data: unknown, options: JobOptions): unknown
    addMany(type: string, data: readonly unknown[], options: JobOptions): unknown
    countJobs(which?: { readonly status: JobStatus }): number
  }

  export enum JobStatus {
    Done = 2,
  }

  interface Worker {
    start(): Promise<void>
  }

  type Connection = object

  export function better(database: Database.Database): Connection
  export function defineQueue(options: { readonly connection: Connection; readonly logger: Logger }): Queue
  export function defineWorker(
    type: string,
    processor: (job: { readonly data: string }) => Promise<void>,
    options: { readonly queue: Queue; readonly logger: Logger },
  ): Worker
}
