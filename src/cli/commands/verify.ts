/** `callme verify`: accounts for every recorded run of a store. It exits with 1 where a promise was broken. */
import { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { SETTINGS, type Environment } from '../../config/settings.ts'
import { redact } from '../../config/store-url.ts'
import { CallmeError } from '../../domain/errors.ts'
import { explainTimezone } from '../../domain/time/time-zone.ts'
import { parseInstant } from '../../domain/time/trigger-time.ts'
import { readLedger } from '../../store/open-store.ts'
import { verify } from '../../verify/verify.ts'
import { readSecrets } from '../terminal/environment.ts'
import { print } from '../terminal/output.ts'
import { addSettingOptions, givenFlags } from '../terminal/setting-options.ts'
import { reportText } from '../terminal/verify-text.ts'

const EXIT_BROKEN = 1

interface RangeOptions {
  readonly from?: string
  readonly to?: string
  readonly timezone?: string
}

export function verifyCommand(): Command {
  const command = new Command('verify').description('Account for every run that the store has recorded, also while callme runs.')
  addSettingOptions(command, ['store'])
    .option('--from <time>', 'Only of entries whose trigger_at is at or after this time, such as -24h or 2030-01-01.')
    .option('--to <time>', 'Only of entries whose trigger_at is before this time.')
    .option('--timezone <zone>', 'The zone of --from and --to without an offset. A date without it is in UTC.')
    .option('--json', 'Print JSON.')
  return command.action(async (options: RangeOptions & { json?: boolean }) => {
    const range = readRange(options)
    if (range.from !== undefined && range.to !== undefined && range.from >= range.to)
      throw new CallmeError('bad_config', `--from must be before --to; got ${options.from ?? ''} and ${options.to ?? ''}`)
    const flags = givenFlags(command)
    const { store } = loadConfig(flags, withoutOthers(readSecrets(flags, process.env)))
    const report = await readLedger(store, (ledger) => verify(ledger, range))
    const where = store.kind === 'sqlite' ? store.path : redact(store.url)
    print(options.json ? `${JSON.stringify(report, null, 2)}\n` : reportText(where, report))
    if (!report.ok) process.exitCode = EXIT_BROKEN
  })
}

/** A wrong value for `callme serve` in the environment must not stop this command. An unknown name still does. */
function withoutOthers(env: Environment): Environment {
  const others = new Set(SETTINGS.filter(({ name }) => name !== 'store').map(({ variable }) => variable))
  return Object.fromEntries(Object.entries(env).filter(([name]) => !others.has(name)))
}

function readRange({ timezone, ...ends }: RangeOptions): { from?: number; to?: number } {
  const problem = timezone === undefined ? undefined : explainTimezone(timezone)
  if (problem) throw new CallmeError('bad_config', `--${problem.detail}`)
  const readTime = (name: 'from' | 'to'): { from?: number; to?: number } => {
    const text = ends[name]
    if (text === undefined) return {}
    const parsed = parseInstant(`--${name}`, text, { now: Date.now(), timezone })
    if (parsed.ok) return { [name]: parsed.value }
    throw new CallmeError('bad_config', parsed.problem.detail)
  }
  return { ...readTime('from'), ...readTime('to') }
}
