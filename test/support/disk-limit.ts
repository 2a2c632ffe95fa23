/** A full disk, or no descriptors, for one process, without the rights that a file system of its own would need. */
import { spawnSync } from 'node:child_process'

/**
 * Says how large a file of a process of this user may become: the kernel refuses every write beyond it, as a full disk does. Linux only.
 * @returns false where there is no such process any more
 * @throws Error where the program that does it cannot be run
 */
export function limitFileSize(pid: number, bytes: number | 'unlimited'): boolean {
  return limit(pid, `--fsize=${bytes}:unlimited`)
}

/** Says how many descriptors a process of this user may have; those that it has already stay open. Otherwise as `limitFileSize`. */
export function limitDescriptors(pid: number, count: number): boolean {
  return limit(pid, `--nofile=${count}:`)
}

function limit(pid: number, option: string): boolean {
  const { status, error } = spawnSync('prlimit', ['--pid', String(pid), option])
  if (error) throw error
  return status === 0
}
