/** Answers requests that Node's HTTP parser refuses. Like every refusal, the answer is a problem document (RFC 9457). */
import { STATUS_CODES, maxHeaderSize, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { problemDocument } from './problem.ts'

/** An error of Node's HTTP parser. `reason` is the sentence of the parser. */
type ClientError = Error & { readonly code?: string; readonly reason?: string }

/** Handles the server's event `clientError`. It ends the connection, because the start of the next request is unknown. */
export function answerClientError(error: ClientError, socket: Duplex): void {
  if (!socket.writable || hasAnswerBegun(socket)) {
    socket.destroy()
    return
  }
  const { status, sentence } = explain(error)
  const body = `${JSON.stringify(problemDocument(status, { error: sentence }))}\n`
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function explain({ code, reason, message }: ClientError): { status: 400 | 408 | 431; sentence: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    const sentence = `the URL and the headers are larger than the ${maxHeaderSize / 1024} KiB that are allowed together; send less in them`
    return { status: 431, sentence }
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, sentence: 'the request did not arrive in full in the time allowed; send it again on a new connection' }
  }
  return { status: 400, sentence: `the request must be HTTP/1.1 with a percent-encoded URL; it could not be read: ${reason ?? message}` }
}

/** A second answer would read as a part of one that is half written. Node's own handler looks at the same field. */
function hasAnswerBegun(socket: Duplex): boolean {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent === true
}
