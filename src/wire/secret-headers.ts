/** The request headers that count as secrets, and the word that is shown in their place. */

export const REDACTED = 'redacted'

const SECRET_HEADER = /^authorization$|cookie|^proxy|(^|[-_])(key|token)$|api-?key$|secret|password/i

export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name)
}
