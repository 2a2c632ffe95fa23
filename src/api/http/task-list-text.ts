/** Builds `{"tasks":[…], …}` piece by piece, so that a long list need not be in memory as a whole. */
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
    // No string in JSON holds a raw line break, so this indents and changes nothing.
    return this.#pretty
      ? separator + ITEM_BREAK + JSON.stringify(task, null, INDENT).replaceAll('\n', ITEM_BREAK)
      : separator + JSON.stringify(task)
  }

  /** @param members follow the list */
  end(members: Readonly<Record<string, unknown>>): string {
    const close = this.#pretty && this.#count > 0 ? `\n${' '.repeat(INDENT)}]` : ']'
    const rest = Object.entries(members).map(([name, value]) =>
      this.#pretty
        ? `,\n${' '.repeat(INDENT)}${JSON.stringify(name)}: ${JSON.stringify(value)}`
        : `,${JSON.stringify(name)}:${JSON.stringify(value)}`,
    )
    return close + rest.join('') + (this.#pretty ? '\n}\n' : '}')
  }
}
