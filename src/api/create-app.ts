/** The HTTP API as an express app: which path and method leads to which endpoint. */
import express from 'express'
import type { Express, RequestHandler } from 'express'
import { CallmeError } from '../domain/errors.ts'
import { acknowledge } from './workers/acknowledge.ts'
import type { AppOptions } from './app-options.ts'
import { claim } from './workers/claim.ts'
import { deleteHandler } from './handlers/delete-handler.ts'
import { deleteTask } from './tasks/delete-task.ts'
import { errorHandler } from './http/problem.ts'
import { getEvents } from './events/events.ts'
import { getHandler, listHandlers } from './handlers/get-handlers.ts'
import { getStatus } from './tasks/get-status.ts'
import { getHealth, getReady } from './node/health.ts'
import { getLateness } from './node/lateness.ts'
import { getPreview } from './tasks/preview.ts'
import { putHandler } from './handlers/put-handler.ts'
import { putTask } from './tasks/put-task.ts'
import { putTasks } from './tasks/put-tasks.ts'
import { reschedule } from './tasks/reschedule.ts'
import { show } from '../wire/validate.ts'
import { runTask } from './tasks/run-task.ts'

type Method = 'get' | 'put' | 'post' | 'delete'
type Methods = Partial<Record<Method, RequestHandler | RequestHandler[]>>

export function createApp(options: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').disable('query parser').enable('case sensitive routing')
  app.use(requireHost)
  const status = getStatus(options)
  const paths: Readonly<Record<string, Methods>> = {
    '/task/:target': { put: putTask(options), get: status, delete: deleteTask(options) },
    '/status/:target': { get: status },
    '/task': { get: status, delete: deleteTask(options) },
    '/status': { get: status },
    '/tasks': { post: putTasks(options) },
    '/reschedule/:target': { post: reschedule(options) },
    '/reschedule': { post: reschedule(options) },
    '/run/:target': { post: runTask(options) },
    '/handler/:target': { put: putHandler(options), get: getHandler(options), delete: deleteHandler(options) },
    '/handler': { get: listHandlers(options) },
    '/ack/:target': { post: acknowledge(options) },
    '/claim/:target': { post: claim(options) },
    '/events': { get: getEvents(options) },
    '/lateness': { get: getLateness(options) },
    '/preview': { get: getPreview(options) },
    '/health': { get: getHealth(options) },
    '/ready': { get: getReady(options) },
    '/': { get: getHealth(options) },
  }
  for (const [path, methods] of Object.entries(paths)) addPath(app, path, methods)
  app.use(refusePath)
  app.use(errorHandler(options.log))
  return app
}

function addPath(app: Express, path: string, methods: Methods): void {
  const route = app.route(path)
  for (const [method, handlers] of Object.entries(methods)) route[method as Method](handlers)
  const allowed = Object.keys(methods).flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
  route.all(refuseMethod([...allowed, 'OPTIONS'].join(', ')))
}

/** RFC 9112 §3.2: HTTP/1.0 needs no Host, HTTP/1.1 does. */
const requireHost: RequestHandler = (req, _res, next) => {
  if (req.headers.host === undefined && req.httpVersion === '1.1') {
    throw new CallmeError('bad_request', 'the header Host is required: it must name the server, such as "Host: localhost"')
  }
  next()
}

function refuseMethod(allow: string): RequestHandler {
  return (req, res) => {
    res.setHeader('Allow', allow)
    if (req.method !== 'OPTIONS')
      throw new CallmeError('method_not_allowed', `${req.method} is not allowed on ${show(req.path)}; allowed are ${allow}`)
    res.writeHead(204)
    res.end()
  }
}

const refusePath: RequestHandler = (req) => {
  throw new CallmeError('not_found', `there is nothing at ${show(req.path)}; a task is at /task/<name>, all of them are at /task/`)
}
