/** The environment with what is secret read from files: CALLME_STORE_FILE names one that holds what CALLME_STORE would say. */
import { readFileSync } from 'node:fs'
import { SETTINGS } from '../../config/settings.ts'
import type { Environment, Flags, Setting } from '../../config/settings.ts'
import { CallmeError } from '../../domain/errors.ts'

/**
 * A file whose setting is given as a flag is not looked at.
 * @throws CallmeError `bad_config` where a file cannot be read or holds nothing, and where its setting stands in the environment as well
 */
export function readSecrets(flags: Flags, env: Environment): Environment {
  return SETTINGS.filter(({ secret }) => secret).reduce((read, setting) => readSecret(setting, flags, read), env)
}

function readSecret({ name, variable }: Setting, flags: Flags, env: Environment): Environment {
  const fileVariable = `${variable}_FILE`
  const { [fileVariable]: path = '', ...others } = env
  if (path === '' || flags[name] !== undefined) return others
  if (others[variable]) throw new CallmeError('bad_config', `${variable} and ${fileVariable} are both set: unset one of them`)
  return { ...others, [variable]: readText(fileVariable, path) }
}

function readText(fileVariable: string, path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new CallmeError('bad_config', `the file of ${fileVariable} cannot be read: ${(error as Error).message}`, { cause: error })
  }
  // As a variable it would count as not set, and the default would be used instead.
  if (text === '') throw new CallmeError('bad_config', `the file of ${fileVariable} is empty: ${path}`)
  return text
}
