/** The URL of the store: reads it, and hides its password. */

export type StoreUrl = { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string }

/**
 * Reads `sqlite:<path>` or `postgres://…`. `sqlite://name` is refused, because it would read as the file /name at the root of the
 * machine; `sqlite::memory:` is refused, because it is not durable.
 * A PostgreSQL URL may say `prepare=false`: then no session is asked to keep a statement.
 * @returns undefined where the text is neither
 */
export function parseStoreUrl(text: string): StoreUrl | undefined {
  if (/^postgres(ql)?:\/\/./.test(text)) return isPostgresUrl(text) ? { kind: 'postgres', url: text } : undefined
  const path = /^sqlite:(?!\/\/[^/])(.+)$/s.exec(text)?.[1]
  return path === undefined || path === ':memory:' ? undefined : { kind: 'sqlite', path }
}

function isPostgresUrl(text: string): boolean {
  return URL.canParse(text) && ['true', 'false', null].includes(new URL(text).searchParams.get('prepare'))
}

/** Hides the password of a URL, before the host or as a parameter. Text after it is hidden where it may belong to the password. */
export function redact(text: string): string {
  return text.replace(/([?&]\w*password=).*/is, '$1***').replace(/(\/\/[^/:@]*:).*@/s, '$1***@')
}
