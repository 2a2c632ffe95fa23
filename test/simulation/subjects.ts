/** Which entries a decision is about. */
import type { Entry } from './entry.ts'

/** The entry that a decision has put: of several that came from it, the newest. */
export function subjectOf(of: number, entries: ReadonlyMap<string, Entry>): Entry | undefined {
  let found: Entry | undefined
  for (const entry of entries.values()) if (entry.of === of && (found === undefined || entry.triggerAt > found.triggerAt)) found = entry
  return found
}

/** Whether a handler's name is that of a task, or a pattern that matches it. */
export function nameMatches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}
