/** `callme serve`: runs a node until SIGTERM or SIGINT asks it to stop; a second signal ends it at once. */
import { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { createLog } from '../../telemetry/log.ts'
import { readSecrets } from '../terminal/environment.ts'
import { addSettingOptions, givenFlags } from '../terminal/setting-options.ts'

const EXIT_CUT_OFF = 1
// At a terminal Ctrl-C reaches callme twice under `npm start`: the process group gets it, and npm passes it on.
const ECHO_MS = 250

export function serveCommand(): Command {
  const command = addSettingOptions(new Command('serve').description('Run the scheduler and its HTTP API.'))
  return command.action(async () => {
    const flags = givenFlags(command)
    const config = loadConfig(flags, readSecrets(flags, process.env))
    const { start } = await import('../../server.ts')
    const stopRequested = onStopSignal()
    const node = await start(config, createLog(config.logLevel, process.stdout), Number(process.env.UV_THREADPOOL_SIZE) || undefined)
    await stopRequested
    await node.stop()
    process.exit(0)
  })
}

/** Resolves at the first signal. */
function onStopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const onSignal = (): void => {
      firstAt ??= performance.now()
      if (performance.now() - firstAt > ECHO_MS) process.exit(EXIT_CUT_OFF)
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
