/** Patterns of names: a name with a final asterisk matches all names that begin with the text before the asterisk. */

const WILDCARD = '*'
/** Sorts after every name: it repeats the last of all characters more often than any name is long. */
const LAST = '\u{10ffff}'.repeat(201)

export function isPattern(name: string): boolean {
  return name.endsWith(WILDCARD)
}

export function matchesName(pattern: string, name: string): boolean {
  return isPattern(pattern) ? name.startsWith(pattern.slice(0, -WILDCARD.length)) : name === pattern
}

/** The range of the names that a pattern matches, in the order of their UTF-8 bytes: `first` inclusive, `end` exclusive. */
export function rangeOfNames(pattern: string): { first: string; end: string } {
  if (!isPattern(pattern)) return { first: pattern, end: `${pattern}\u0000` }
  const prefix = pattern.slice(0, -WILDCARD.length)
  return { first: prefix, end: prefix + LAST }
}
