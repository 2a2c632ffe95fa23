/** Hands due rows of one handler to a worker, as far as the handler has capacity. */
import { NEVER, knownTime } from '../../rules/handler-book.ts'
import { firstPage } from '../../../domain/task/page-size.ts'
import type { ClaimResult, Store } from '../../store.ts'
import { oneByOne } from '../commit/group-writer.ts'
import { findHandler } from '../handlers/change-handler.ts'
import { claimForWorker, finishClaim, firstPlaces, lockDue, oldestFirst } from './claim-rows.ts'
import { HandlerUsage } from '../handlers/handler-usage.ts'

type Pull = Parameters<Store['pull']>[1] & { readonly handlerName: string }

/** Answers with a function that makes the answer: the store calls it once the claim is durable. */
export const pull = oneByOne(async (transaction, request: Pull): Promise<() => ClaimResult | 'not_pulled'> => {
  const { handlers, cursors, peers } = transaction.session
  const { handlerName, now } = request
  const handler = (await findHandler(transaction, handlerName))?.definition
  if (handler?.pull !== true) return () => 'not_pulled'
  await peers.catchUp()
  const view = cursors.begin(now)
  const usage = new HandlerUsage(transaction, now)
  const capacity = await usage.within(handlerName, handler)
  const limit = Math.min(request.limit, capacity.free)
  if (limit <= 0) return () => ({ tasks: [], nextDue: knownTime(capacity.opensAt) })
  const lanes = cursors.ofHandler(handlerName).map((lane) => ({ ...lane, limit }))
  // A new handler may have rows in these lanes that do not belong there any more.
  const own = (await lockDue(transaction, lanes, now)).filter(({ name }) => handlers.of(name)?.name === handlerName)
  const oldest = firstPage(own.toSorted(oldestFirst).slice(0, limit), ({ bytes }) => bytes)
  const rows = await claimForWorker(transaction, oldest, request, handler)
  if (capacity.hasRate && rows.length > 0) await usage.addStarts(handlerName, rows.length)
  const tasks = await finishClaim(transaction, rows, request)
  const firsts = await firstPlaces(transaction, lanes, now)
  return () => {
    cursors.end(view, { firsts, closed: new Map() })
    const dues = firsts.flatMap(({ claimableAt }) => claimableAt ?? []).filter((dueAt) => dueAt > now)
    return { tasks, nextDue: knownTime(Math.min(NEVER, ...dues)) }
  }
})
