/** `callme serve`: runs a node until a signal asks it to stop. */
import { Command } from 'commander'
import { loadConfig } from '../../config/load-config.ts'
import { createLog } from '../../telemetry/log.ts'
import { readSecrets } from '../terminal/environment.ts'
import { logOutput } from '../terminal/output.ts'
import { addSettingOptions, givenFlags } from '../terminal/setting-options.ts'
import { stopRequested } from '../terminal/signals.ts'

export function serveCommand(): Command {
  const command = addSettingOptions(new Command('serve').description('Run the scheduler and its HTTP API.'))
  return command.action(async () => {
    const flags = givenFlags(command)
    const config = loadConfig(flags, readSecrets(flags, process.env))
    const output = logOutput()
    const log = createLog(config.logLevel, output)
    const stop = stopRequested(log)
    const { start } = await import('../../server.ts')
    const node = await start(config, log, {
      logFault: () => output.fault,
      poolThreads: Number(process.env.UV_THREADPOOL_SIZE) || undefined,
    })
    await stop
    await node.stop()
    await output.drained()
    process.exit(0)
  })
}
