/** The declaration of an endpoint. Routes, `Allow` and the checks of a request follow from it; whoever describes the API reads it. */
import type { OutgoingHttpHeaders } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import { CallmeError, type Parsed } from '../domain/errors.ts'
import type { EndpointOptions } from './app-options.ts'
import { bodyText, collectBody, refuseBody, type BodyReader } from './http/read-body.ts'
import { readQuery } from './http/read-query.ts'
import { readTarget, type Targets } from './http/read-target.ts'
import { sendJson } from './http/respond.ts'

/** What an endpoint is for its clients. */
interface Route<K extends keyof Targets = keyof Targets> {
  /** unique */
  readonly operationId: string
  readonly method: 'get' | 'put' | 'patch' | 'post' | 'delete'
  /** paths of express; `:target` stands for the last part */
  readonly paths: readonly string[]
  /** the meaning of `:target` */
  readonly target: K
  /** what a client must be allowed to do */
  readonly scope: 'none' | 'read' | 'work' | 'write' | 'admin'
  /** its statuses, without those of the checks; a defect is 500 */
  readonly answers: readonly number[]
}

const CONDITIONS = ['If-Match', 'If-None-Match', 'If-Unmodified-Since'] as const

/** What an endpoint asks of a request. The checks come in this order: body absent, query, condition, target. */
interface Needs<K extends keyof Targets, Q, B> {
  /** The second parameter is the target where that is checked first. */
  readonly query: { (value: unknown, target: Targets[K] | undefined): Parsed<Q>; readonly schema: object }
  readonly body: 'ignored' | 'absent' | BodyReader<B>
  /** Reads the conditions of a write (RFC 9110 §13.1); without it they are refused. @returns whether it must replace nothing */
  readonly condition?: (req: Request) => boolean
  /** the check that comes before the others */
  readonly first?: 'query' | 'target'
}

/** An endpoint as the routes and the descriptions of the API see it. */
export interface Endpoint extends Route {
  readonly query: object
  readonly body: 'ignored' | 'absent' | Omit<BodyReader<unknown>, 'read'>
  /** Prepares the endpoint for one app. @returns its handlers for the router */
  readonly open: (options: EndpointOptions) => RequestHandler[]
}

/** A request that has passed the checks. */
interface CheckedRequest<K extends keyof Targets, Q, B> {
  readonly req: Request
  readonly res: Response
  readonly target: Targets[K]
  readonly query: Q
  /** whether the request must replace nothing */
  readonly ifAbsent: boolean
  /** Parses and checks the body. @throws CallmeError where it is refused */
  readonly body: () => B
}

/** A JSON answer. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: OutgoingHttpHeaders
}

/** @returns undefined where it has written the answer itself */
type Handle<K extends keyof Targets, Q, B> = (request: CheckedRequest<K, Q, B>) => Answer | undefined | Promise<Answer | undefined>

/** @param create prepares an app; what it returns handles the requests */
export function endpoint<K extends keyof Targets, Q, B>(
  route: Route<K>,
  needs: Needs<K, Q, B>,
  create: (options: EndpointOptions) => Handle<K, Q, B>,
): Endpoint {
  const { query, body } = needs
  const hasBody = typeof body !== 'string'
  const open = (options: EndpointOptions): RequestHandler[] => {
    const handle = create(options)
    const respond: RequestHandler = async (req, res) => {
      const answer = await handle(check(req, res, route.target, needs, options.clock))
      if (answer !== undefined) sendJson(req, res, answer.status, answer.body, answer.headers)
    }
    return hasBody ? [collectBody(body.limitBytes), respond] : [respond]
  }
  return { ...route, answers: [...route.answers, 400, ...(hasBody ? [413, 415] : [])], query: query.schema, body, open }
}

/** @throws CallmeError for the first check that fails */
function check<K extends keyof Targets, Q, B>(
  req: Request,
  res: Response,
  kind: K,
  { query: checkQuery, body, condition, first }: Needs<K, Q, B>,
  clock: EndpointOptions['clock'],
): CheckedRequest<K, Q, B> {
  const early = first === 'target' ? readTarget(kind, req) : undefined
  if (body === 'absent' && first !== 'query') refuseBody(req)
  const query = readQuery(req, (value) => checkQuery(value, early))
  if (body === 'absent') refuseBody(req)
  const ifAbsent = condition === undefined ? refuseConditions(req) : condition(req)
  const target = early ?? readTarget(kind, req)
  const read = (): B => {
    if (typeof body === 'string') throw new Error('an endpoint reads a body that it does not declare')
    return body.read(bodyText(req), clock.now())
  }
  return { req, res, target, query, ifAbsent, body: read }
}

/** A write that ignored a condition would do what it must not do. */
function refuseConditions({ method, headers }: Request): false {
  const sent = CONDITIONS.find((name) => headers[name.toLowerCase()] !== undefined)
  if (sent === undefined || method === 'GET' || method === 'HEAD') return false
  throw new CallmeError('bad_request', `this request knows no condition, and would be carried out in spite of it; leave out ${sent}`)
}
