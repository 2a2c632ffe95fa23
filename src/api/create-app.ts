/** The HTTP API as an express app: the routes of the endpoints, and the refusals of other paths and methods. */
import express, { type Express, type RequestHandler } from 'express'
import { CallmeError } from '../domain/errors.ts'
import { show } from '../wire/validate.ts'
import type { AppOptions } from './app-options.ts'
import { ENDPOINTS } from './endpoints.ts'
import { errorHandler } from './http/problem.ts'
import { Turns } from './http/turns.ts'

export function createApp(options: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').disable('query parser').enable('case sensitive routing')
  app.use(requireHost)
  const turns = new Turns()
  const endpoints = ENDPOINTS.map(({ method, paths, open }) => ({ method, paths, handlers: open({ ...options, turns }) }))
  for (const path of new Set(ENDPOINTS.flatMap(({ paths }) => paths))) {
    const route = app.route(path)
    const served = endpoints.filter(({ paths }) => paths.includes(path))
    for (const { method, handlers } of served) route[method](handlers)
    const allowed = served.map(({ method }) => (method === 'get' ? 'GET, HEAD' : method.toUpperCase()))
    route.all(refuseMethod([...allowed, 'OPTIONS'].join(', ')))
  }
  app.use(refusePath)
  app.use(errorHandler(options.log))
  return app
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
