/** What the signals of supervisors, terminals and logrotate do to a running node. */
import { isatty } from 'node:tty'
import type { Log } from '../../telemetry/log.ts'

const EXIT_CUT_OFF = 1
/** At a terminal Ctrl-C reaches callme twice under `npm start`: the process group gets it, and npm passes it on. */
const ECHO_MS = 250
/** They end the node in order. Two of them do not exist on every system. */
const STOPS: readonly string[] = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGXCPU', 'SIGPWR', 'SIGBREAK']
/**
 * They ask other programs to open their log or to read their settings again. callme keeps no file of either open. Node.js would cut off
 * the calls under way, or open the port of its debugger.
 */
const RELOADS: readonly string[] = ['SIGUSR1', 'SIGUSR2', 'SIGALRM']

/** Resolves at the first signal that ends the node. A second one ends the process at once. */
export function stopRequested(log: Log): Promise<void> {
  const hangup = ['SIGHUP']
  // A closed terminal sends it too. Node.js takes back that `nohup` has ignored it, and under `nohup` nothing is a terminal.
  const [stops, reloads] = [0, 1, 2].some(isatty) ? [[...STOPS, ...hangup], RELOADS] : [STOPS, [...RELOADS, ...hangup]]
  for (const signal of reloads) {
    process.on(signal, () => {
      log.info('signal.ignored', { signal })
    })
  }
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const onSignal = (): void => {
      firstAt ??= performance.now()
      if (performance.now() - firstAt > ECHO_MS) process.exit(EXIT_CUT_OFF)
      resolve()
    }
    for (const signal of stops) process.on(signal, onSignal)
  })
}
