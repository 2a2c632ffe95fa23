/** The settings of schema/config.json, and the value of each by a flag, the environment or its default. */
import { Ajv2020 } from 'ajv/dist/2020.js'
import schema from '../../schema/config.json' with { type: 'json' }
import { CallmeError, type Problem } from '../domain/errors.ts'
import type { LogLevel } from '../telemetry/log.ts'
import { meantBy } from '../suggest.ts'
import { redact } from './store-url.ts'

export type SettingName = keyof typeof schema.properties
/** The settings of the command line by name: a string, or true for a boolean flag. */
export type Flags = Readonly<Partial<Record<SettingName, string | boolean>>>
export type Environment = Readonly<Record<string, string | undefined>>

/** One setting of schema/config.json. */
export interface Setting {
  readonly name: SettingName
  /** its name in the environment */
  readonly variable: string
  readonly type: string
  readonly description: string
  /** the form of a right value */
  readonly expects: string
  readonly placeholder?: string
  /** whether a file may hold it instead of the environment */
  readonly secret?: boolean
  readonly default?: string | number | boolean
}

/** The value of a setting and its source; undefined where it is not set and has no default. */
export interface EffectiveSetting {
  readonly name: SettingName
  readonly value: string | number | boolean | undefined
  readonly source: 'flag' | 'environment' | 'default'
}

/** The values, once the schema has validated them. */
export interface Values {
  listen: string
  store: string
  timeout: number
  'expected-http-status': string
  'on-failure'?: string
  'on-failure-payload'?: string
  'max-inflight': number
  'max-open-calls'?: number
  'max-inflight-per-host'?: number
  retention: number
  'log-level': LogLevel
  'keep-alive': number
  'shutdown-timeout': number
  'node-name'?: string
  'no-auth': boolean
}

const PREFIX = 'CALLME_'
const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

export const SETTINGS: readonly Setting[] = Object.entries(schema.properties).map(([name, property]) => ({
  ...property,
  name: name as SettingName,
  variable: variableOf(name),
}))

const validate = new Ajv2020({ allErrors: true, keywords: ['expects', 'placeholder', 'secret'] }).compile<Values>(schema)

// Kubernetes and Docker set these by themselves for a service named "callme".
const SERVICE_LINK = /^CALLME_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
const SERVICE_LINK_URL = /^(tcp|udp|sctp):\/\//

/**
 * Every setting in the order of schema/config.json, with values of the right type. An empty variable counts as not set.
 * @throws CallmeError `bad_config` on unknown variables and on values of the wrong type or out of range
 */
export function effectiveSettings(flags: Flags, env: Environment): EffectiveSetting[] {
  const settings = SETTINGS.map((setting) => readSetting(setting, flags, env))
  const given = settings.filter(({ value }) => value !== undefined)
  const problems = unknownVariables(env)
  if (!validate(Object.fromEntries(given.map(({ name, value }) => [name, value])))) {
    for (const { instancePath } of validate.errors ?? []) {
      const name = instancePath.slice(1) as SettingName
      problems.push(badValue(name, labelOf(name, flags), flags[name] ?? env[variableOf(name)]))
    }
  }
  if (problems.length > 0) throw badConfig(problems)
  return settings
}

function variableOf(name: string): string {
  return PREFIX + name.toUpperCase().replaceAll('-', '_')
}

function readSetting({ name, variable, type, default: value }: Setting, flags: Flags, env: Environment): EffectiveSetting {
  const flag = flags[name]
  if (flag !== undefined) return { name, value: typeof flag === 'string' ? convert(flag, type) : flag, source: 'flag' }
  const text = env[variable] ?? ''
  return text === '' ? { name, value, source: 'default' } : { name, value: convert(text, type), source: 'environment' }
}

// ajv's own coercion would take "Infinity" for an integer within any bounds. A text that does not convert fails the type of the schema.
function convert(text: string, type: string): string | number | boolean {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text)
  return type === 'boolean' ? (BOOLEANS[text] ?? text) : text
}

function unknownVariables(env: Environment): Problem[] {
  const known = SETTINGS.map(({ variable }) => variable)
  return Object.entries(env)
    .filter(([name, value]) => name.startsWith(PREFIX) && !known.includes(name) && !isServiceLink(name, value))
    .map(([name]) => {
      const names = SETTINGS.map((setting) => setting.name)
      const meant = meantBy(name.slice(PREFIX.length), names)
      const hint = meant === undefined ? `known are ${known.join(', ')}` : `the nearest one is ${variableOf(meant)}`
      return { pointer: name, detail: `${name} in the environment is not a setting; ${hint}` }
    })
}

function isServiceLink(name: string, value: string | undefined): boolean {
  return SERVICE_LINK.test(name) || (name === `${PREFIX}PORT` && SERVICE_LINK_URL.test(value ?? ''))
}

/** The flag that gave a setting, or else the variable that may give it. */
export function labelOf(name: SettingName, flags: Flags): string {
  return flags[name] === undefined ? variableOf(name) : `--${name}`
}

export function badValue(name: SettingName, label: string, sent: unknown): Problem {
  const expects = schema.properties[name].expects
  const shown = JSON.stringify(typeof sent === 'string' ? redact(sent).slice(0, 120) : sent)
  return { pointer: label, detail: `${label} must be ${expects}; got ${shown}` }
}

export function badConfig(problems: readonly Problem[]): CallmeError {
  return new CallmeError('bad_config', problems.map(({ detail }) => detail).join('\n'), { problems })
}
