/** Structured logging: JSON lines with a fixed set of event names, or readable lines at a terminal. */
import { pino } from 'pino'
import { terminalLine } from './terminal-line.ts'

/** error: a person must act; warn: healed by itself; info: life of the node; debug: the rest. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'silent'

export type LogEvent =
  | 'node.started'
  | 'node.stopping'
  | 'node.stopped'
  | 'signal.ignored'
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

/** At a terminal a person sees at `info` what became of each task, successes too. */
const NEWS: ReadonlySet<LogEvent> = new Set(['task.stored', 'task.accepted', 'task.acknowledged', 'task.successful'])

/** Never pass a payload, a header or a URL: they may hold secrets. An `err` field is written with its stack, or at a terminal as its sentence. */
export function createLog(level: LogLevel, destination: LogDestination, bindings: Record<string, unknown> = {}): Log {
  const isTerminal = destination.isTTY === true
  const stream = isTerminal ? { write: (line: string) => destination.write(terminalLine(line)) } : destination
  const options = { level, base: bindings, messageKey: 'event', formatters: { level: (label: string) => ({ level: label }) } }
  const serializers = isTerminal ? { err: sentenceOf } : {}
  const logger = pino({ ...options, serializers, timestamp: pino.stdTimeFunctions.isoTime }, stream)
  const at = (level: keyof Log) => (event: LogEvent, fields?: Record<string, unknown>) => {
    logger[isTerminal && level === 'debug' && NEWS.has(event) ? 'info' : level](fields, event)
  }
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') }
}

/** The stack of a defect, and only the sentence of an error that was expected. */
function sentenceOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  return 'code' in error ? error.message : (error.stack ?? error.message)
}
