/** The settings as command-line flags: adds one flag for each, and reads the given flags. */
import { Option, type Command } from 'commander'
import { SETTINGS, type Flags, type Setting } from '../../config/settings.ts'

/** Adds a flag for every setting, or for the named ones. */
export function addSettingOptions(command: Command, names: readonly string[] = SETTINGS.map(({ name }) => name)): Command {
  const settings = SETTINGS.filter(({ name }) => names.includes(name))
  for (const setting of settings) command.addOption(optionOf(setting))
  const environment = 'Each setting can also be given in the environment: --store as CALLME_STORE. Flags win.'
  const secrets = settings
    .filter(({ secret }) => secret)
    .map(({ name, variable }) => `--${name} can stand in a file that ${variable}_FILE names.`)
  return command.addHelpText('after', ['', environment, ...secrets].join('\n'))
}

/** The settings of the command line, without defaults. */
export function givenFlags(command: Command): Flags {
  const given = SETTINGS.flatMap((setting) => {
    const option = optionOf(setting)
    if (command.getOptionValueSource(option.attributeName()) !== 'cli') return []
    const value = command.getOptionValue(option.attributeName()) as string | boolean
    // commander reads --no-auth as "auth is false".
    return [[setting.name, option.negate ? !value : value]]
  })
  return Object.fromEntries(given) as Flags
}

function optionOf(setting: Setting): Option {
  const flags = setting.placeholder === undefined ? `--${setting.name}` : `--${setting.name} <${setting.placeholder}>`
  const isShown = setting.default !== undefined && setting.type !== 'boolean'
  return new Option(flags, isShown ? `${setting.description} (default: ${setting.default})` : setting.description)
}
