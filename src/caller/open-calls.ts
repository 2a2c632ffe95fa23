/** How many calls this process can have open: each takes a file descriptor, and memory while it waits. */
import { totalmem } from 'node:os'

/** Calls that are open longer than most run into the limits of networks: ports, tables of connections. */
const MOST = 8192
/** Of an open call in both threads and in the system, in bytes. `npx node test/bench/run.ts open-calls` measures a smaller part. */
const MEMORY_PER_CALL = 64 * 1024
/** The rest is for the API, the store and all else. */
const PART_OF_MEMORY = 1 / 4
const PART_OF_DESCRIPTORS = 1 / 2
/** Where the system tells no limit of descriptors. */
const USUAL_DESCRIPTORS = 4096

/** A bound by the file descriptors and the memory of this process. */
export function mostOpenCalls(): number {
  const byDescriptors = descriptors() * PART_OF_DESCRIPTORS
  // Without a limit of its own a process is told a number far above the memory of the machine, or 0.
  const memory = Math.min(process.constrainedMemory() || Infinity, totalmem())
  const byMemory = (memory * PART_OF_MEMORY) / MEMORY_PER_CALL
  return Math.floor(Math.min(MOST, byDescriptors, byMemory))
}

/** The soft limit. Node has raised it to the hard one. */
function descriptors(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : USUAL_DESCRIPTORS
}
