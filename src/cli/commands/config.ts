/** `callme config`: prints the settings that `callme serve` would use, and the source of each. */
import { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { effectiveSettings, type EffectiveSetting } from '../../config/settings.ts'
import { redact } from '../../config/store-url.ts'
import { readSecrets } from '../terminal/environment.ts'
import { print } from '../terminal/output.ts'
import { addSettingOptions, givenFlags } from '../terminal/setting-options.ts'

export function configCommand(): Command {
  const command = new Command('config').description('Print the settings that `callme serve` would use.')
  addSettingOptions(command).option('--json', 'Print JSON, as when the output is not a terminal.')
  return command.action((options: { json?: boolean }) => {
    const flags = givenFlags(command)
    const env = readSecrets(flags, process.env)
    loadConfig(flags, env)
    const settings = effectiveSettings(flags, env)
    const isTable = process.stdout.isTTY && options.json !== true
    print(isTable ? configTable(settings) : configJson(settings))
  })
}

/** One line for each setting: its name, its value and its source. */
export function configTable(settings: readonly EffectiveSetting[]): string {
  const cells = settings.map((setting) => ({ ...setting, value: String(shown(setting) ?? '-') }))
  const rows = [{ name: 'setting', value: 'value', source: 'from' }, ...cells]
  const width = (column: 'name' | 'value') => Math.max(...rows.map((row) => row[column].length))
  const [nameWidth, valueWidth] = [width('name'), width('value')]
  return rows.map(({ name, value, source }) => `${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${source}\n`).join('')
}

/** An object of setting names and values; null where a setting has none. */
function configJson(settings: readonly EffectiveSetting[]): string {
  const values = settings.map((setting) => [setting.name, shown(setting) ?? null] as const)
  return `${JSON.stringify(Object.fromEntries(values), null, 2)}\n`
}

/** The value of a setting without its secrets. The path of a chat's URL is one. */
function shown({ name, value }: EffectiveSetting): EffectiveSetting['value'] {
  if (typeof value !== 'string') return value
  return name === 'on-failure' ? `${new URL(value).origin}/***` : redact(value)
}
