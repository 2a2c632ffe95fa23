/** What has happened in a world, in order: the last lines as text, all of them as one number. */

const KEPT = 60

export class Trace {
  /** differs where anything that happened differs */
  digest = 0x811c9dc5
  #lines: string[] = []

  add(line: string): void {
    for (let at = 0; at < line.length; at += 1) this.digest = Math.imul(this.digest ^ line.charCodeAt(at), 0x01000193) >>> 0
    this.#lines.push(line)
    if (this.#lines.length > 10 * KEPT) this.#lines = this.lines.slice()
  }

  /** The latest. */
  get lines(): readonly string[] {
    return this.#lines.slice(-KEPT)
  }
}
