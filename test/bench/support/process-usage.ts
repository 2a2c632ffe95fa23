/** What a process has used, read from Linux's /proc: all its threads count, those that have ended included. */
import { existsSync, readFileSync } from 'node:fs'

/** Linux shows times to programs in hundredths of a second. */
const MS_PER_CLOCK_TICK = 10
const KIB_PER_MB = 1e6 / 1024

/** CPU time in ms, of user and system together. */
export function cpuMs(pid: number): number {
  const [user = 0, system = 0] = cpuTimes(pid)
  return user + system
}

/** CPU time in ms of a process and of its children, those that have ended included. */
export function familyCpuMs(pid: number): number {
  const living = childrenOf(pid).reduce((sum, child) => sum + (existsSync(`/proc/${child}/stat`) ? cpuMs(child) : 0), 0)
  return cpuTimes(pid).reduce((sum, time) => sum + time, living)
}

/** The processes that it started and that live. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number)
}

/** In ms: user, system, and the same of its children that have ended. */
function cpuTimes(pid: number): number[] {
  // The second field is the name in parentheses, which may hold spaces; the 14th to 17th are the times.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return fields.slice(11, 15).map((ticks) => Number(ticks) * MS_PER_CLOCK_TICK)
}

/** Resident memory in MB: now, and at its highest since the process began. */
export function memoryMb(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const read = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / KIB_PER_MB
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/**
 * Resident memory in MB of a process and of its children, where all share one piece of it: what each has for itself, and of the shared
 * piece the most that one of them has touched.
 */
export function familyMemoryMb(pid: number): number {
  const members = [pid, ...childrenOf(pid)].map((member) => {
    try {
      const status = readFileSync(`/proc/${member}/status`, 'latin1')
      const read = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / KIB_PER_MB
      return { own: read('RssAnon'), shared: read('RssShmem') }
    } catch {
      // It has ended meanwhile.
      return { own: 0, shared: 0 }
    }
  })
  return members.reduce((sum, { own }) => sum + own, Math.max(...members.map(({ shared }) => shared)))
}

/** How much it had to read from the disk because the system did not hold it in memory. */
export function readKib(pid: number): number {
  return Number(/^read_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1]) / 1024
}
