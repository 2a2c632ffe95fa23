/** Changes of tasks as an event stream (WHATWG HTML §9.2): blocks of bytes, each made once and written to every listener. */
import { matchesName } from '../../domain/task/name-pattern.ts'
import type { ChangeKind, LostChanges, TaskChange } from '../../domain/task/task-change.ts'
import { writeJson } from '../../wire/json-text.ts'
import { presentTask, type ServerDefaults } from '../../wire/present-task.ts'

/** The changes that a listener wants; every filter that is given must hold. */
export interface EventFilter {
  readonly kinds?: ReadonlySet<ChangeKind>
  /** a name or a pattern of names */
  readonly names?: string
}

/** Changes that follow each other. */
export interface EventBlock {
  /** the id that its first change follows */
  readonly after: number
  /** the id of its last change */
  readonly last: number
  readonly bytes: Buffer
  readonly events: readonly BlockEvent[]
}

interface BlockEvent {
  readonly id: number
  /** absent, as its name, for changes that cannot be read: every listener hears of them */
  readonly kind?: ChangeKind
  readonly name?: string
  readonly start: number
  readonly end: number
}

/** A listener that stops reading costs about this much memory: one write. */
const BLOCK_BYTES = 64 * 1024

/**
 * The first of `changes`, as many as make a block.
 * @param after the id that the first one follows
 * @param changes at least one, oldest first
 */
export function formatBlock(after: number, changes: readonly (TaskChange | LostChanges)[], defaults: ServerDefaults): EventBlock {
  const texts: string[] = []
  const events: BlockEvent[] = []
  let [start, last] = [0, after]
  for (const change of changes) {
    const isRead = 'task' in change
    const text = isRead ? formatChange(change, defaults) : formatLost(change)
    const end = start + Buffer.byteLength(text)
    last = change.id
    texts.push(text)
    events.push({ id: last, ...(isRead && { kind: change.kind, name: change.task.name }), start, end })
    start = end
    if (end >= BLOCK_BYTES) break
  }
  return { after, last, bytes: Buffer.from(texts.join('')), events }
}

/** The bytes of the events after the id `after` that the filter lets through; they may be none. */
export function pickEvents({ bytes, events }: EventBlock, after: number, { kinds, names }: EventFilter): Buffer {
  const wanted = events.filter(
    ({ id, kind, name }) =>
      id > after && (kinds === undefined || !kind || kinds.has(kind)) && (names === undefined || !name || matchesName(names, name)),
  )
  return wanted.length === events.length ? bytes : Buffer.concat(wanted.map(({ start, end }) => bytes.subarray(start, end)))
}

/** An event about the stream itself. With `id` the listener goes on from there when it connects again. */
export function formatNotice(event: 'missed' | 'dropped', error: string, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify({ error })}\n\n`
}

function formatLost({ first, id }: LostChanges): string {
  return formatNotice('missed', `the stored changes ${first} to ${id} cannot be read`, id)
}

/** An event is one line of data. In JSON a raw line break stands between values, never in one. */
function formatChange({ id, kind, task, withoutPayload }: TaskChange, defaults: ServerDefaults): string {
  const wire = presentTask(task, defaults)
  const data = withoutPayload ? { ...wire, payload: null, payload_omitted: true } : wire
  return `id: ${id}\nevent: ${kind}\ndata: ${writeJson(data).replace(/[\r\n]\s*/g, ' ')}\n\n`
}
