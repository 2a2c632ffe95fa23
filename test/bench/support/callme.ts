/** The program under measurement: `bin/callme.js serve` as a child process, on a port of its own, with a CPU profile where that is asked for. */
import { Program } from '../../support/program.ts'
import { freePlace } from './listen.ts'

/** Resolves once it listens. @param profile a folder for the CPU profiles of its threads */
export async function startCallme(store: string, profile?: string): Promise<Program> {
  const env = profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` }
  return new Program(store, ['--listen', await freePlace()], env).started()
}

/** Resolves once it has ended as it should. */
export async function stopCallme(program: Program): Promise<void> {
  program.signal('SIGTERM')
  const { code, stderr } = await program.exited()
  if (code !== 0) throw new Error(`callme ended with ${code ?? 'a signal'}: ${stderr}`)
}
