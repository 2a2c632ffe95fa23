/** The yardstick of the register bench: the route of a PUT on express, tuned as callme's is, with the body parsed and nothing stored. */
import { createServer } from 'node:http'
import express from 'express'
import { answerParent } from './child.ts'
import { listen } from './listen.ts'

export type ExpressRouteVerbs = typeof verbs

const MAX_BODY_BYTES = 2 ** 20

const verbs = {
  /** @param answer the text that every PUT is answered with. @returns its URL, without a path */
  start: async (answer: string) => {
    const app = express()
    app.disable('x-powered-by').disable('etag').disable('query parser').enable('case sensitive routing')
    app.put('/task/:target', express.raw({ type: () => true, limit: MAX_BODY_BYTES }), (req, res) => {
      const { trigger_at } = JSON.parse((req.body as Buffer).toString()) as { trigger_at: string }
      const headers = { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(answer) }
      res.writeHead(201, { ...headers, Location: `/task/${encodeURIComponent(req.params.target)}@${trigger_at}` }).end(answer)
    })
    return `http://${await listen(createServer(app))}`
  },
}
answerParent(verbs)
