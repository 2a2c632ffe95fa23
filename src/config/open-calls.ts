/** The default of `max-open-calls`, by what this process has: an open call takes a file descriptor, and memory while it waits. */

/** More would run into other limits, such as those of local ports and of tables of connections. */
const MOST = 8192
/** In bytes, of both threads and of the system. */
const MEMORY_PER_CALL = 64 * 1024
/** The rest is for the API, the store and all else. */
const PART_OF_MEMORY = 1 / 4
const PART_OF_DESCRIPTORS = 1 / 2
/** Where the system tells no limit of descriptors. */
const USUAL_DESCRIPTORS = 4096

/** How many calls may be open. */
export function mostOpenCalls(): number {
  const byDescriptors = descriptors() * PART_OF_DESCRIPTORS
  const byMemory = (process.availableMemory() * PART_OF_MEMORY) / MEMORY_PER_CALL
  return Math.floor(Math.min(MOST, byDescriptors, byMemory))
}

/** The soft limit. Node has raised it to the hard one. */
function descriptors(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
  const soft = userLimits?.open_files?.soft
  return typeof soft === 'number' ? soft : USUAL_DESCRIPTORS
}
