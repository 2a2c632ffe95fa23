/** What a process has used, read from Linux's /proc: all its threads count, those that have ended included. */
import { readFileSync } from 'node:fs'

/** Linux shows times to programs in hundredths of a second. */
const MS_PER_CLOCK_TICK = 10
const KIB_PER_MB = 1e6 / 1024

/** CPU time in ms, of user and system together. */
export function cpuMs(pid: number): number {
  // The second field is the name in parentheses, which may hold spaces; the 14th and 15th are the times.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_CLOCK_TICK
}

/** Resident memory in MB: now, and at its highest since the process began. */
export function memoryMb(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const read = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / KIB_PER_MB
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** How much it had to read from the disk because the system did not hold it in memory. */
export function readKib(pid: number): number {
  return Number(/^read_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1]) / 1024
}
