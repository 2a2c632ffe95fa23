/** A full disk for one process, without the rights that a file system of its own would need. */
import { spawnSync } from 'node:child_process'

/**
 * Says how large a file of a process of this user may become: the kernel refuses every write beyond it, as a full disk does. Linux only.
 * @returns false where there is no such process any more
 * @throws Error where the program that does it cannot be run
 */
export function limitFileSize(pid: number, bytes: number | 'unlimited'): boolean {
  const { status, error } = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])
  if (error) throw error
  return status === 0
}
