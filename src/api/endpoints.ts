/** Every endpoint of the API, in the order in which `Allow` names the methods of a path. */
import type { Endpoint } from './endpoint.ts'
import { getEvents } from './events/events.ts'
import { deleteHandler } from './handlers/delete-handler.ts'
import { getHandler, listHandlers } from './handlers/get-handlers.ts'
import { putHandler } from './handlers/put-handler.ts'
import { getHealth, getReady } from './node/health.ts'
import { getLateness } from './node/lateness.ts'
import { deleteTask } from './tasks/delete-task.ts'
import { getStatus } from './tasks/get-status.ts'
import { patchTask } from './tasks/patch-task.ts'
import { getPreview } from './tasks/preview.ts'
import { putTask } from './tasks/put-task.ts'
import { putTasks } from './tasks/put-tasks.ts'
import { reschedule } from './tasks/reschedule.ts'
import { runTask } from './tasks/run-task.ts'
import { acknowledge } from './workers/acknowledge.ts'
import { claim } from './workers/claim.ts'

export const ENDPOINTS: readonly Endpoint[] = [
  ...[putTask, getStatus, patchTask, deleteTask, putTasks, reschedule, runTask],
  ...[putHandler, getHandler, deleteHandler, listHandlers],
  ...[acknowledge, claim],
  ...[getEvents, getLateness, getPreview, getHealth, getReady],
]
