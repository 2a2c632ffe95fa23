/** How whoever uses callme gives it a command, so that the world knows what was asked for while it is under way. */
import type { TaskKey } from '../../src/domain/task/task-key.ts'
import type { WireTask } from '../../src/wire/present-task.ts'
import type { Command, Model } from './model.ts'
import type { Answer, ClientRequest } from './node.ts'
import type { Watch } from './watch.ts'
import type { WorldTime } from './world-time.ts'

/** What people and programs go by. */
export interface UsersOptions {
  readonly seed: number
  readonly model: Model
  readonly watch: Watch
  readonly time: WorldTime
  /** is told of each task that a worker was given */
  readonly onPulled: (task: WireTask) => void
  /** gives a request to the node that there is; what it has committed by the time it answers has been looked at */
  readonly send: (request: ClientRequest) => Promise<Answer>
  /** has the stored definition of a waiting task damaged */
  readonly damage: (task: TaskKey, text: string) => Promise<void>
  readonly trace: (line: string) => void
}

/** @returns the answer, and whether nothing else can have meddled with what it says */
export async function sendCommand(
  { model, send, trace }: UsersOptions,
  wanted: Pick<Command, 'does' | 'isAbout'>,
  request: ClientRequest,
): Promise<{ answer: Answer; isAlone: boolean }> {
  const command = model.begin(wanted)
  const answer = await send(request)
  command.isOver = true
  trace(`${request.method} ${request.url} ${answer === 'lost' ? answer : answer.status}`)
  return { answer, isAlone: command.isAlone }
}
