/** The reason why a file cannot be used, in words for a person. SQLite has few words for it, so the file itself is looked at. */
import { accessSync, constants, existsSync, readlinkSync, statSync, statfsSync, type Stats } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { SqliteError } from 'better-sqlite3'

const { R_OK, W_OK, X_OK } = constants
const FULL = 'its disk is full'
const READ_ONLY = 'it lies on a read-only file system'
/** By the codes of SQLite and of the system. */
const REASONS: Readonly<Record<string, string>> = {
  SQLITE_FULL: FULL,
  ENOSPC: FULL,
  EDQUOT: 'the disk quota of this user is used up',
  SQLITE_NOTADB: 'it is not a database of SQLite, or its beginning is damaged',
  SQLITE_BUSY: 'another program writes to it',
  EROFS: READ_ONLY,
  ENAMETOOLONG: 'its name is too long for the file system',
  ELOOP: 'its name is a circle of links',
  EMFILE: 'this process has too many open files',
}

export type Use = 'read' | 'write'

/** @returns a part of a sentence about the file */
export function fileFault(path: string, error: unknown, use: Use = 'write'): string {
  const { code = '', message } = error as NodeJS.ErrnoException
  const plain = error instanceof SqliteError ? `${message} (${code})` : message
  return REASONS[code] ?? wrongPlace(path) ?? refusedAccess(path, use) ?? (isDiskFull(path) ? FULL : plain)
}

/** @returns the reason why there is no file, and none can be made; undefined where there may be one */
export function wrongPlace(path: string): string | undefined {
  const stats = statsOf(path)
  if (stats?.isDirectory()) return 'it is a folder and no file'
  if (stats !== undefined) return stats.isFile() ? undefined : 'it is no ordinary file'
  const folder = statsOf(dirname(path))
  if (folder === undefined) return 'its folder does not exist'
  if (!folder.isDirectory()) return `${dirname(path)} is a file and no folder`
  return leadsNowhere(path) ? 'it is a link into a folder that does not exist' : undefined
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function leadsNowhere(path: string): boolean {
  try {
    return !existsSync(dirname(resolve(dirname(path), readlinkSync(path))))
  } catch {
    // It is no link.
    return false
  }
}

function refusedAccess(path: string, use: Use): string | undefined {
  if (!existsSync(path) && use === 'read') return refusal(dirname(path), X_OK, 'look into its folder') ?? 'it does not exist'
  for (const file of [path, `${path}-wal`, `${path}-shm`].filter(existsSync)) {
    const refused = refusal(file, use === 'read' ? R_OK : R_OK | W_OK, `${use} ${file === path ? 'it' : file}`)
    if (refused !== undefined) return refused
  }
  return refusal(dirname(path), W_OK | X_OK, 'write in its folder, where SQLite makes files beside a store')
}

function refusal(path: string, access: number, what: string): string | undefined {
  try {
    accessSync(path, access)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS' ? READ_ONLY : `permission denied: this user may not ${what}`
  }
}

/** SQLite says only "disk I/O error" where a file beside the store finds no space. */
function isDiskFull(path: string): boolean {
  try {
    return statfsSync(dirname(path)).bavail === 0
  } catch {
    return false
  }
}
