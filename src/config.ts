/**
 * The settings of a node: where each value comes from (flag, environment, default) and whether it is right.
 * Reads nothing by itself, flags and environment are parameters. Names, types and defaults are those of schema/config.json.
 */
import { BlockList, isIP, isIPv6 } from 'node:net'
import { Ajv2020 } from 'ajv/dist/2020.js'
import leven from 'leven'
import schema from '../schema/config.json' with { type: 'json' }
import { CallmeError } from './domain/errors.ts'
import type { Problem } from './domain/errors.ts'
import type { LogLevel } from './log.ts'

export type SettingName = keyof typeof schema.properties
/** What was given on the command line, by name; a string, or true for a boolean flag. */
export type Flags = Readonly<Partial<Record<SettingName, string | boolean>>>
export type Environment = Readonly<Record<string, string | undefined>>

/** One setting as schema/config.json has it. */
export interface Setting {
  readonly name: SettingName
  /** its name in the environment */
  readonly variable: string
  readonly type: string
  readonly description: string
  /** what a right value looks like */
  readonly expects: string
  readonly placeholder?: string
  /** whether a file may hold it, so that it need not stand in the environment */
  readonly secret?: boolean
  readonly default?: string | number | boolean
}

/** The value that a setting has, and who gave it; undefined where it is not set and has no default. */
export interface EffectiveSetting {
  readonly name: SettingName
  readonly value: string | number | boolean | undefined
  readonly source: 'flag' | 'environment' | 'default'
}

export interface Config {
  /** an empty host is every interface; port 0 is any free one */
  readonly listen: { readonly host: string; readonly port: number }
  readonly store: { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'postgres'; readonly url: string }
  readonly timeoutMs: number
  readonly maxInflight: number
  readonly maxInflightPerHost: number | undefined
  /** 0 keeps finished tasks for ever */
  readonly retentionMs: number
  readonly logLevel: LogLevel
  readonly shutdownTimeoutMs: number
}

interface Values {
  listen: string
  store: string
  timeout: number
  'max-inflight': number
  'max-inflight-per-host'?: number
  retention: number
  'log-level': LogLevel
  'shutdown-timeout': number
  'no-auth': boolean
}

const SECOND_MS = 1000
const DAY_MS = 86_400 * SECOND_MS
const PREFIX = 'CALLME_'
const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false }

export const SETTINGS: readonly Setting[] = Object.entries(schema.properties).map(([name, property]) => ({
  ...property,
  name: name as SettingName,
  variable: variableOf(name),
}))

const validate = new Ajv2020({ allErrors: true, keywords: ['expects', 'placeholder', 'secret'] }).compile<Values>(schema)

// Kubernetes and Docker set these for a service that is called "callme"; nobody wrote them.
const SERVICE_LINK = /^CALLME_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
const SERVICE_LINK_URL = /^(tcp|udp|sctp):\/\//

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/**
 * Flags beat the environment, which beats the defaults.
 * @throws CallmeError `bad_config` with one line for each thing that is wrong
 */
export function loadConfig(flags: Flags, env: Environment): Config {
  const values = Object.fromEntries(effectiveSettings(flags, env).map(({ name, value }) => [name, value])) as unknown as Values
  const label = (name: SettingName): string => labelOf(name, flags)
  const listen = parseListen(values.listen)
  const store = parseStore(values.store)
  const problems: Problem[] = []
  if (listen === undefined) problems.push(badValue('listen', label('listen'), values.listen))
  else if (!isLoopback(listen.host) && !values['no-auth']) problems.push(openToAll(label('listen'), values.listen))
  if (store === undefined) problems.push(badValue('store', label('store'), values.store))
  if (listen === undefined || store === undefined || problems.length > 0) throw badConfig(problems)
  return {
    listen,
    store,
    timeoutMs: values.timeout * SECOND_MS,
    maxInflight: values['max-inflight'],
    maxInflightPerHost: values['max-inflight-per-host'],
    retentionMs: values.retention * DAY_MS,
    logLevel: values['log-level'],
    shutdownTimeoutMs: values['shutdown-timeout'] * SECOND_MS,
  }
}

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

/** Hides the password of a URL, be it before the host or a parameter; with what follows it, where a part of it may stand there. */
export function redact(text: string): string {
  return text.replace(/([?&]\w*password=).*/is, '$1***').replace(/(\/\/[^/:@]*:).*@/s, '$1***@')
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

// Stricter than ajv's own coercion, which takes "Infinity" for an integer within any bounds. What does not convert fails the schema's type.
function convert(text: string, type: string): string | number | boolean {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text)
  return type === 'boolean' ? (BOOLEANS[text] ?? text) : text
}

function unknownVariables(env: Environment): Problem[] {
  const known = SETTINGS.map(({ variable }) => variable)
  return Object.entries(env)
    .filter(([name, value]) => name.startsWith(PREFIX) && !known.includes(name) && !isServiceLink(name, value))
    .map(([name]) => {
      const distance = (other: string): number => leven(name.toUpperCase(), other)
      const nearest = known.toSorted((a, b) => distance(a) - distance(b))[0]
      return { pointer: name, detail: `${name} in the environment is not a setting; the nearest one is ${nearest}` }
    })
}

function isServiceLink(name: string, value: string | undefined): boolean {
  return SERVICE_LINK.test(name) || (name === `${PREFIX}PORT` && SERVICE_LINK_URL.test(value ?? ''))
}

function parseListen(text: string): Config['listen'] | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const [bracketed, bare = '', port] = [match?.[1], match?.[2], Number(match?.[3])]
  const isHost = bracketed === undefined ? bare === '' || isIP(bare) !== 0 || isHostName(bare) : isIPv6(bracketed)
  return match !== null && isHost && port <= 65_535 ? { host: bracketed ?? bare, port } : undefined
}

function isHostName(text: string): boolean {
  return /^[\w.-]+$/.test(text) && /[a-z]/i.test(text)
}

function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || (isIP(host) !== 0 && LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4'))
}

// sqlite://name would read as the file /name at the root of the machine; in memory nothing would be durable.
function parseStore(text: string): Config['store'] | undefined {
  if (/^postgres(ql)?:\/\/./.test(text)) return URL.canParse(text) ? { kind: 'postgres', url: text } : undefined
  const path = /^sqlite:(?!\/\/[^/])(.+)$/s.exec(text)?.[1]
  return path === undefined || path === ':memory:' ? undefined : { kind: 'sqlite', path }
}

function labelOf(name: SettingName, flags: Flags): string {
  return flags[name] === undefined ? variableOf(name) : `--${name}`
}

function badValue(name: SettingName, label: string, sent: unknown): Problem {
  const expects = schema.properties[name].expects
  const shown = JSON.stringify(typeof sent === 'string' ? redact(sent).slice(0, 120) : sent)
  return { pointer: label, detail: `${label} must be ${expects}; got ${shown}` }
}

function openToAll(label: string, sent: string): Problem {
  const remedy = 'listen on 127.0.0.1, or allow it with --no-auth (CALLME_NO_AUTH=true) where only trusted machines can connect'
  return { pointer: label, detail: `${label} ${sent} can be reached from other machines and callme has no login: ${remedy}` }
}

function badConfig(problems: readonly Problem[]): CallmeError {
  return new CallmeError('bad_config', problems.map(({ detail }) => detail).join('\n'), { problems })
}
