/** The parts of the peers that their bench uses: they are not installed with callme's own dependencies. */
declare module 'graphile-worker' {
  interface Job {
    readonly identifier: string
    readonly payload: unknown
  }

  interface WorkerUtils {
    migrate(): Promise<void>
    addJobs(jobs: readonly Job[]): Promise<unknown>
    release(): Promise<void>
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
    stop(): Promise<void>
    createQueue(name: string): Promise<void>
    insert(name: string, jobs: readonly { readonly data: object }[]): Promise<unknown>
    work<T>(name: string, options: WorkOptions, handler: (jobs: readonly Job<T>[]) => Promise<JobResult[]>): Promise<string>
  }
}
