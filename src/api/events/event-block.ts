/** How changes of tasks look in an event stream (WHATWG HTML §9.2): in blocks of bytes, each made once and written to every listener. */
import { matchesName } from '../../domain/task/name-pattern.ts'
import { presentTask } from '../../wire/present-task.ts'
import type { ServerDefaults } from '../../wire/present-task.ts'
import type { ChangeKind, TaskChange } from '../../domain/task/task-change.ts'

/** Which changes a listener wants; every filter that is given must hold. */
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
  readonly kind: ChangeKind
  readonly name: string
  /** where its bytes end */
  readonly end: number
}

/** A block is what is written to a listener at once: what one that stops reading costs. */
const BLOCK_BYTES = 64 * 1024

/**
 * The first of `changes`, as many as make a block.
 * @param after the id that the first one follows
 * @param changes at least one, oldest first
 */
export function formatBlock(after: number, changes: readonly TaskChange[], defaults: ServerDefaults): EventBlock {
  const texts: Buffer[] = []
  const events: BlockEvent[] = []
  let [end, last] = [0, after]
  for (const change of changes) {
    const text = Buffer.from(formatChange(change, defaults))
    end += text.length
    last = change.id
    texts.push(text)
    events.push({ id: last, kind: change.kind, name: change.task.name, end })
    if (end >= BLOCK_BYTES) break
  }
  return { after, last, bytes: Buffer.concat(texts, end), events }
}

/** The bytes of those events after the id `after` that the filter lets through; undefined where there are none. */
export function pickEvents(block: EventBlock, after: number, filter: EventFilter): Buffer | undefined {
  const pieces: Buffer[] = []
  let [from, to] = [0, 0]
  for (const event of block.events) {
    if (event.id > after && isWanted(event, filter)) {
      to = event.end
      continue
    }
    if (to > from) pieces.push(block.bytes.subarray(from, to))
    from = to = event.end
  }
  if (to > from) pieces.push(block.bytes.subarray(from, to))
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
}

/** An event that tells of the stream itself. With `id` the listener goes on from there when it connects again. */
export function formatNotice(event: 'missed' | 'dropped', error: string, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify({ error })}\n\n`
}

function isWanted({ kind, name }: BlockEvent, filter: EventFilter): boolean {
  return (filter.kinds === undefined || filter.kinds.has(kind)) && (filter.names === undefined || matchesName(filter.names, name))
}

/** No string in JSON holds a raw line break, so the task is one line of data. */
function formatChange({ id, kind, task, withoutPayload }: TaskChange, defaults: ServerDefaults): string {
  const wire = presentTask(task, defaults)
  const data = withoutPayload ? { ...wire, payload: null, payload_omitted: true } : wire
  return `id: ${id}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`
}
