/** How the definition of a stored task is damaged: a part of its text is replaced. The number of the decision that put it stays readable. */

interface Damage {
  /** stands in the place of `INTACT` */
  readonly text: string
  /** what callme says of it */
  readonly reason: string
}

/** A part of every definition. */
export const INTACT = '"payload":{'

export const DAMAGES: readonly Damage[] = [
  { text: '"damaged" "payload":{', reason: 'it is not valid JSON' },
  { text: '"headers":null,"payload":{', reason: 'its headers is not an object of texts' },
  { text: '"timezone":7,"payload":{', reason: 'its timezone is not a text' },
  { text: '"rate":-1,"payload":{', reason: 'its rate is not a whole number' },
]

/** Why a definition cannot be read; undefined where nobody has damaged it. */
export function damageOf(definition: string): string | undefined {
  return DAMAGES.find(({ text }) => definition.includes(text))?.reason
}
