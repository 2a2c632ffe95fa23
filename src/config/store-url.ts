/** Where the store is: how that is written, and how it is shown. */

export type StoreUrl = { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string }

/**
 * Reads `sqlite:<path>` or `postgres://…`. `sqlite://name` would read as the file /name at the root of the machine, and nothing would be
 * durable in memory: both are refused.
 * @returns undefined where the text is neither
 */
export function parseStoreUrl(text: string): StoreUrl | undefined {
  if (/^postgres(ql)?:\/\/./.test(text)) return URL.canParse(text) ? { kind: 'postgres', url: text } : undefined
  const path = /^sqlite:(?!\/\/[^/])(.+)$/s.exec(text)?.[1]
  return path === undefined || path === ':memory:' ? undefined : { kind: 'sqlite', path }
}

/** Hides the password of a URL, be it before the host or a parameter; with what follows it, where a part of it may stand there. */
export function redact(text: string): string {
  return text.replace(/([?&]\w*password=).*/is, '$1***').replace(/(\/\/[^/:@]*:).*@/s, '$1***@')
}
