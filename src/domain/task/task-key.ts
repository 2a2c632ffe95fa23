/** The key of a task, `name@trigger_at`: writes it and reads it. */
import { refuse, type Parsed } from '../errors.ts'

/** `triggerAt` is a Unix time in seconds on a whole minute. */
export interface TaskKey {
  readonly name: string
  readonly triggerAt: number
}

const MAX_NAME_LENGTH = 200
const WHERE_KEYS_ARE = ', which is the member "key" of each task that GET /task/<task_name> lists'
// \p{Cs} (lone surrogates) cannot be stored as UTF-8 and would not read back.
const FORBIDDEN_IN_NAME = /[@/\p{Cc}\p{Cs}\s]/u

export function formatTaskKey(key: TaskKey): string {
  return `${key.name}@${key.triggerAt}`
}

export function parseTaskName(text: string): Parsed<string> {
  if (text.length >= 1 && [...text].length <= MAX_NAME_LENGTH && !FORBIDDEN_IN_NAME.test(text)) return { ok: true, value: text }
  const detail = `task_name must be 1 to ${MAX_NAME_LENGTH} characters without "@", "/", control characters or white space; got ${JSON.stringify(text.slice(0, 60))}`
  return refuse('/task_name', detail)
}

/** Reads `name@<unix minute>`. Any other text is a problem, `a@b@c` included. The problem names the key that was nearly sent. */
export function parseTaskKey(text: string): Parsed<TaskKey> {
  const [name = '', time = '', ...rest] = text.split('@')
  const parsedName = parseTaskName(name)
  if (!parsedName.ok) return parsedName
  const triggerAt = Number(time)
  const isUnixTime = rest.length === 0 && /^(0|[1-9]\d{0,11})$/.test(time)
  if (isUnixTime && triggerAt % 60 === 0) return { ok: true, value: { name, triggerAt } }
  const right = isUnixTime
    ? `; the nearest before it is ${formatTaskKey({ name, triggerAt: triggerAt - (triggerAt % 60) })}`
    : WHERE_KEYS_ARE
  const detail = `a task key must be <task_name>@<Unix time on a whole minute>${right}; got ${JSON.stringify(text.slice(0, 120))}`
  return refuse('/task_key', detail)
}
