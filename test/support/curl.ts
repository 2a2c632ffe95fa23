/** What a curl line of the README or of a page sends, on machines without curl too: reads exactly the options that stand there, and refuses others. */
import { parseArgs } from 'node:util'

const OPTIONS = {
  request: { type: 'string', short: 'X' },
  header: { type: 'string', short: 'H', multiple: true },
  data: { type: 'string', short: 'd' },
  // Nothing is buffered here anyway.
  'no-buffer': { type: 'boolean', short: 'N' },
} as const

/** @throws Error on a word that is quoted in parts, an unknown option, or anything but one URL */
export function readCurl(line: string): Request {
  const [program, ...args] = wordsOf(line)
  if (program !== 'curl') throw new Error(`this is no curl line: ${line}`)
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true })
  const [url, ...others] = positionals
  if (url === undefined || others.length > 0) throw new Error(`one URL is expected in ${line}`)
  const headers = new Headers(values.header?.map((header) => header.split(/: */, 2) as [string, string]))
  // As curl does it, unless it is told otherwise.
  if (values.data !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/x-www-form-urlencoded')
  return new Request(url.includes('://') ? url : `http://${url}`, {
    method: values.request ?? (values.data === undefined ? 'GET' : 'POST'),
    headers,
    ...(values.data !== undefined && { body: values.data }),
  })
}

/** The words of a shell line that quotes none or the whole of each, with single quotes; a `?` or a `&` outside quotes is the shell's. */
function wordsOf(line: string): string[] {
  if (!/^(?:'[^']*'|[^\s'"`\\$*?&;|<>(){}[\]!~#]+)(?: (?:'[^']*'|[^\s'"`\\$*?&;|<>(){}[\]!~#]+))*$/.test(line)) {
    throw new Error(`a shell would read this otherwise: ${line}`)
  }
  return [...line.matchAll(/'([^']*)'|[^ ]+/g)].map(([word, quoted]) => quoted ?? word)
}
