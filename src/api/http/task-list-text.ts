/** Builds `{"tasks":[…], …}` piece by piece, so that a long list need not be in memory as a whole. */
import { writeJson } from '../../wire/json-text.ts'
import type { WireTask } from '../../wire/present-task.ts'
import { INDENT } from './respond.ts'

const ITEM_BREAK = `\n${' '.repeat(2 * INDENT)}`

export class TaskListText {
  readonly #pretty: boolean
  #count = 0

  constructor(pretty: boolean) {
    this.#pretty = pretty
  }

  /** How many tasks were added. */
  get count(): number {
    return this.#count
  }

  start(): string {
    return this.#pretty ? `{\n${' '.repeat(INDENT)}"tasks": [` : '{"tasks":['
  }

  item(task: WireTask): string {
    const separator = this.#count === 0 ? '' : ','
    this.#count += 1
    // No string in JSON holds a raw line break, so this indents and changes no value.
    return this.#pretty ? separator + ITEM_BREAK + writeJson(task, INDENT).replaceAll('\n', ITEM_BREAK) : separator + writeJson(task)
  }

  /** @param members follow the list */
  end(members: Readonly<Record<string, string | number | null>>): string {
    const close = this.#pretty && this.#count > 0 ? `\n${' '.repeat(INDENT)}]` : ']'
    if (Object.keys(members).length === 0) return `${close}${this.#pretty ? '\n' : ''}}\n`
    const rest = JSON.stringify(members, null, this.#pretty ? INDENT : 0).slice(1)
    return `${close},${rest}\n`
  }
}
