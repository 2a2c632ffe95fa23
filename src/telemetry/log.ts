/** Structured logging: JSON lines with a fixed set of event names, or readable lines at a terminal. */
import { pino } from 'pino'
import { PinoPretty } from 'pino-pretty'

/** error: a person must act; warn: healed by itself; info: life of the node; debug: the rest. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'silent'

export type LogEvent =
  | 'node.started'
  | 'node.stopping'
  | 'node.stopped'
  | 'node.short'
  | 'clock.jumped'
  | 'clock.skewed'
  | 'clock.unmeasured'
  | 'tick.finished'
  | 'tick.failed'
  | 'task.stored'
  | 'task.claimed'
  | 'task.accepted'
  | 'task.acknowledged'
  | 'task.successful'
  | 'task.retry'
  | 'task.failed'
  | 'task.skipped'
  | 'claim.lost'
  | 'claim.released'
  | 'claim.rescued'
  | 'rescued'
  | 'record.failed'
  | 'worker.died'
  | 'pruned'
  | 'handler.stored'
  | 'handler.removed'
  | 'listener.dropped'
  | 'upkeep.failed'
  | 'request.failed'

export type Log = Readonly<Record<Exclude<LogLevel, 'silent'>, (event: LogEvent, fields?: Record<string, unknown>) => void>>

export interface LogDestination {
  write(line: string): unknown
  readonly isTTY?: boolean
}

/** Never pass a payload, a header or a URL: they may hold secrets. An `err` field is written with its stack. */
export function createLog(level: LogLevel, destination: LogDestination, bindings: Record<string, unknown> = {}): Log {
  const stream = destination.isTTY ? PinoPretty({ ignore: 'pid,hostname', destination: destination as NodeJS.WritableStream }) : destination
  const options = { level, base: bindings, messageKey: 'event', formatters: { level: (label: string) => ({ level: label }) } }
  const logger = pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime }, stream)
  const at = (level: keyof Log) => (event: LogEvent, fields?: Record<string, unknown>) => {
    logger[level](fields, event)
  }
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') }
}
