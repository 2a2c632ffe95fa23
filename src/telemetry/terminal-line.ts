/** A log line for a person at a terminal: the local time with its zone, the event and its values, all in one line. */
import { prettyFactory } from 'pino-pretty'

type Fields = Readonly<Record<string, unknown>>

/** Members of every line, which stand elsewhere in it or say nothing to a person. */
const LEFT_OUT = new Set(['level', 'time', 'event', 'node', 'pid', 'run_id'])
/** Anything else is quoted, so no value moves the cursor or begins a line. */
const PLAIN = /^[\w.:/@+*-]+$/

const format = prettyFactory({
  translateTime: 'SYS:yyyy-mm-dd HH:MM:ss o',
  ignore: 'pid,hostname',
  messageKey: 'event',
  hideObject: true,
  messageFormat: (fields) => textOf(fields),
})

/** @param line of JSON, as pino writes it */
export function terminalLine(line: string): string {
  return format(line)
}

function textOf(fields: Fields): string {
  if (fields['event'] === 'node.started') return started(fields)
  if (fields['event'] === 'node.stopping') return stopping(fields)
  const shown = Object.entries(fields).filter(([name, value]) => !LEFT_OUT.has(name) && value !== null && value !== undefined)
  return [String(fields['event']), ...shown.map(([name, value]) => (name === 'task' ? show(value) : `${name}=${show(value)}`))].join(' ')
}

function started({ version, address, store, is_new: isNew, waiting }: Fields): string {
  const holds = isNew === true ? 'its store is new' : `${countOf(waiting, 'task')} ${waiting === 1 ? 'waits' : 'wait'} in its store`
  return `callme ${String(version)} listens on ${String(address)}; ${holds}: ${String(store)}`
}

function stopping({ calls, timeout_s: seconds }: Fields): string {
  if (calls === 0) return 'callme stops; no call is under way'
  return `callme stops; it waits up to ${String(seconds)} s for ${countOf(calls, 'call')} under way, and a second signal ends it at once`
}

function countOf(count: unknown, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return PLAIN.test(text) ? text : JSON.stringify(text)
}
