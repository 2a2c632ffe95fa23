/** A command or a flag that nobody knows: the sentence of commander, with the name that was meant. */
import type { Command } from 'commander'
import { meantBy } from '../../suggest.ts'

const UNKNOWN = /unknown (command|option) '(-*)([^'=]+)/

/** @param command the command that refuses its arguments */
export function withSuggestion(text: string, command: Command): string {
  const [, kind, dashes = '', sent] = UNKNOWN.exec(text) ?? []
  if (sent === undefined) return text
  const flags = command.options.flatMap(({ long }) => (long ? [long.slice(2)] : []))
  const commands = command.commands.map((known) => known.name())
  const meant = kind === 'option' ? meantBy(sent, flags) : meantBy(sent, [...commands, '--version'])
  if (meant === undefined) return text
  return `${text.trimEnd()}; did you mean ${kind === 'option' ? dashes.padEnd(2, '-') : ''}${meant}?\n`
}
