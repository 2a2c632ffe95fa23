/** The configuration of a node, from its settings. Flags and environment are parameters; nothing else is read. */
import type { Problem } from '../domain/errors.ts'
import type { OnFailure } from '../domain/task/error-callback.ts'
import type { ExpectedStatuses } from '../domain/task/task.ts'
import type { LogLevel } from '../telemetry/log.ts'
import { isLoopback, parseListen, type Listen } from './listen.ts'
import { readOnFailure } from './on-failure.ts'
import { badConfig, badValue, effectiveSettings, labelOf, type Environment, type Flags, type SettingName, type Values } from './settings.ts'
import { parseStoreUrl, type StoreUrl } from './store-url.ts'

export interface Config {
  readonly listen: Listen
  readonly store: StoreUrl
  readonly timeoutMs: number
  readonly expectedStatus: ExpectedStatuses
  /** undefined tells nobody */
  readonly onFailure?: OnFailure | undefined
  readonly maxInflight: number
  /** undefined leaves it to the process */
  readonly maxOpenCalls: number | undefined
  readonly maxInflightPerHost: number | undefined
  /** 0 keeps finished tasks for ever */
  readonly retentionMs: number
  readonly logLevel: LogLevel
  /** how long the API keeps an idle connection */
  readonly keepAliveMs: number
  readonly shutdownTimeoutMs: number
  /** undefined for the name of the host */
  readonly nodeName: string | undefined
}

const SECOND_MS = 1000
const DAY_MS = 86_400 * SECOND_MS

/** Flags beat the environment, which beats the defaults. @throws CallmeError `bad_config` with one line for each fault */
export function loadConfig(flags: Flags, env: Environment): Config {
  const values = Object.fromEntries(effectiveSettings(flags, env).map(({ name, value }) => [name, value])) as unknown as Values
  const label = (name: SettingName): string => labelOf(name, flags)
  const listen = parseListen(values.listen)
  const store = parseStoreUrl(values.store)
  const problems: Problem[] = []
  if (listen === undefined) problems.push(badValue('listen', label('listen'), values.listen))
  else if (!isLoopback(listen.host) && !values['no-auth']) problems.push(openToAll(label('listen'), values.listen))
  if (store === undefined) problems.push(badValue('store', label('store'), values.store))
  const { 'max-inflight': maxInflight, 'max-open-calls': maxOpenCalls } = values
  if (maxOpenCalls !== undefined && maxOpenCalls < maxInflight)
    problems.push(badValue('max-open-calls', label('max-open-calls'), String(maxOpenCalls)))
  const onFailure = readOnFailure(values)
  if (!onFailure.ok) problems.push(badValue(onFailure.fault, label(onFailure.fault), values[onFailure.fault]))
  if (!onFailure.ok || listen === undefined || store === undefined || problems.length > 0) throw badConfig(problems)
  return {
    listen,
    store,
    timeoutMs: values.timeout * SECOND_MS,
    expectedStatus: readStatuses(values['expected-http-status']),
    onFailure: onFailure.value,
    maxInflight,
    maxOpenCalls,
    maxInflightPerHost: values['max-inflight-per-host'],
    retentionMs: values.retention * DAY_MS,
    logLevel: values['log-level'],
    keepAliveMs: values['keep-alive'] * SECOND_MS,
    shutdownTimeoutMs: values['shutdown-timeout'] * SECOND_MS,
    nodeName: values['node-name'],
  }
}

/** @param text one status or class, or several with commas, as the schema has checked it */
function readStatuses(text: string): ExpectedStatuses {
  const statuses = text.split(',').map((one) => (one.endsWith('xx') ? one : Number(one)))
  return statuses.length === 1 && statuses[0] !== undefined ? statuses[0] : statuses
}

function openToAll(label: string, sent: string): Problem {
  const remedy = 'listen on 127.0.0.1, or allow it with --no-auth (CALLME_NO_AUTH=true) where only trusted machines can connect'
  return { pointer: label, detail: `${label} ${sent} can be reached from other machines and callme has no login: ${remedy}` }
}
