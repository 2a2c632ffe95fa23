/** The stored task that a client may have read, where its body holds what only that task explains. */
import type { SentTask, StoredTask } from '../../wire/parse-task.ts'
import { sentKey } from '../../wire/parse-task.ts'
import { presentTask } from '../../wire/present-task.ts'
import { SENT_BACK, regardsStored } from '../../wire/put-back.ts'
import type { AppOptions } from '../app-options.ts'

/** @param name from the path; without it the body holds it @param now epoch ms */
export async function storedTask(
  { store, defaults }: Pick<AppOptions, 'store' | 'defaults'>,
  name: string | undefined,
  sent: SentTask,
  now: number,
): Promise<StoredTask | undefined> {
  const key = regardsStored(sent) ? sentKey(name, sent, now) : undefined
  const [task, own] = key === undefined ? [] : [await store.get(key), await store.get(key, { own: true })]
  if (task === undefined || own === undefined) return undefined
  const history = sent[SENT_BACK]?.['history'] === undefined ? undefined : await store.history(task)
  return { own: own.definition, shown: presentTask(task, defaults, history) }
}
