/** Reads CPU profiles that Node wrote and prints where the time went: the functions with the most time of their own. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  /** µs before each sample */
  readonly timeDeltas: readonly number[]
}

const SHOWN = 25
const IDLE = new Set(['(idle)', '(program)', '(root)'])

/** One list for each thread; the parts are of the time in which the thread was not idle. */
export function printProfiles(folder: string): void {
  for (const file of globSync('*.cpuprofile', { cwd: folder }).sort()) {
    const times = selfTimes(JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile)
    const busy = [...times].filter(([name]) => !IDLE.has(name))
    const total = busy.reduce((sum, [, micros]) => sum + micros, 0)
    console.log(`\n${file}: busy ${(total / 1e6).toFixed(2)} s, idle ${((times.get('(idle)') ?? 0) / 1e6).toFixed(2)} s`)
    for (const [name, micros] of busy.sort(([, a], [, b]) => b - a).slice(0, SHOWN)) {
      console.log(`  ${((100 * micros) / total).toFixed(1).padStart(5)} %  ${name}`)
    }
  }
}

function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): Map<string, number> {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const times = new Map<string, number>()
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? '?'
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0))
  }
  return times
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName
  return url === '' ? name : `${name} ${url.replace(/^.*\/(?=(src|node_modules)\/)/, '')}:${lineNumber + 1}`
}
