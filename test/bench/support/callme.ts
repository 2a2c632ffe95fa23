/** The program under measurement: `bin/callme.js serve` as a child process, on a port of its own, with a CPU profile where that is asked for. */
import { Program } from '../../support/program.ts'
import { freePlace } from './listen.ts'

const SHOWN_COMPLAINTS = 5

/** Resolves once it listens. @param profile a folder for the CPU profiles of its threads */
export async function startCallme(store: string, profile?: string): Promise<Program> {
  return (await spawnCallme(store, profile)).started()
}

/** Does not wait until it listens. */
export async function spawnCallme(store: string, profile?: string, flags: readonly string[] = []): Promise<Program> {
  const env = profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` }
  return new Program(store, ['--listen', await freePlace(), ...flags], env)
}

/** Resolves once it has ended as it should. Prints what it logged as a warning or an error: a bench gives it no reason to. */
export async function stopCallme(program: Program): Promise<void> {
  const complaints = program.lines.filter(({ level }) => level === 'warn' || level === 'error')
  for (const line of complaints.slice(0, SHOWN_COMPLAINTS)) console.error('callme logged', line)
  program.signal('SIGTERM')
  const { code, stderr } = await program.exited()
  if (code !== 0) throw new Error(`callme ended with ${code ?? 'a signal'}: ${stderr}`)
}
