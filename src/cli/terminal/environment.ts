/** The environment with its secrets read from files: CALLME_STORE_FILE names the file that holds the value of CALLME_STORE. */
import { readFileSync } from 'node:fs'
import { SETTINGS, type Environment, type Flags, type Setting } from '../../config/settings.ts'
import { CallmeError } from '../../domain/errors.ts'

/**
 * A flag wins over the file of its setting, which is then not read.
 * @throws CallmeError `bad_config` where a file is unreadable or empty, and where the environment has its setting as well
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
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'EISDIR' ? `${path} is a folder` : message
    throw new CallmeError('bad_config', `the file of ${fileVariable} cannot be read: ${reason}`, { cause: error })
  }
  // An empty variable would count as not set, so that the default would be used.
  if (text === '') throw new CallmeError('bad_config', `the file of ${fileVariable} is empty: ${path}`)
  return text
}
