/** Which callback headers are taken for secrets, and what stands in their place wherever a task is shown. */

export const REDACTED = 'redacted'

const SECRET_HEADER = /^authorization$|cookie|^proxy|(^|[-_])(key|token)$|api-?key$|secret|password/i

export function isSecretHeader(name: string): boolean {
  return SECRET_HEADER.test(name)
}
