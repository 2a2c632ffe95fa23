/** The URLs that callme may call. */

/** What is wrong with a URL. `new URL` repairs a text; only one that needs no repair is taken, so the stored URL is the called one. */
export function faultOfUrl(url: string): string | undefined {
  if (/[\s\p{Cc}\p{Cs}]/u.test(url)) return 'must not hold white space or control characters; percent-encode them'
  if (!/^https?:\/\/[^/\\]/i.test(url) || !URL.canParse(url)) {
    return 'must be an absolute http or https URL such as "http://example.com/run"'
  }
  if (/^https?:\/\/[^/?#\\]*@/i.test(url)) return 'must not hold a user name or password; send them in headers'
  return undefined
}
