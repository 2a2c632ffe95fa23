/** Which names a name stands for: itself, or, where it ends with an asterisk, all that begin with what stands before that. */

const WILDCARD = '*'
/** Follows every name: no character comes after the one it is made of, and no name has as many. */
const LAST = '\u{10ffff}'.repeat(201)

export function isPattern(name: string): boolean {
  return name.endsWith(WILDCARD)
}

export function matchesName(pattern: string, name: string): boolean {
  return isPattern(pattern) ? name.startsWith(pattern.slice(0, -WILDCARD.length)) : name === pattern
}

/** The bounds of the names that a pattern stands for, in the order of their UTF-8 bytes: `first` inclusive, `end` exclusive. */
export function rangeOfNames(pattern: string): { first: string; end: string } {
  if (!isPattern(pattern)) return { first: pattern, end: `${pattern}\u0000` }
  const prefix = pattern.slice(0, -WILDCARD.length)
  return { first: prefix, end: prefix + LAST }
}
