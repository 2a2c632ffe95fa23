/** The command line: its commands, and the sentence and the exit code of a failure. */
import { Command, CommanderError } from 'commander'
import { VERSION } from '../version.ts'
import { configCommand } from './commands/config.ts'
import { describeFailure } from './terminal/failure.ts'
import { withSuggestion } from './terminal/suggestion.ts'
import { outliveReaders, print } from './terminal/output.ts'
import { serveCommand } from './commands/serve.ts'
import { verifyCommand } from './commands/verify.ts'

const EXIT_USAGE = 2

const program = new Command('callme')
  .description('A durable scheduler for HTTP callbacks.')
  .version(VERSION)
  .addHelpText('after', '\nExit codes: 0 good, 1 failed, 2 wrong usage or settings.')
for (const command of [serveCommand(), configCommand(), verifyCommand()]) program.addCommand(command)
for (const command of [program, ...program.commands]) {
  command.exitOverride().showSuggestionAfterError(false)
  command.configureOutput({
    writeOut: print,
    outputError: (text, write) => {
      write(withSuggestion(text, command))
    },
  })
}

outliveReaders()
try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE
  } else {
    const { message, exitCode } = describeFailure(error)
    process.stderr.write(`${message}\n`)
    process.exit(exitCode)
  }
}
