/**
 * The hold that this process has on its store. The open files must be those at their paths, no other process may have taken the store, and
 * SQLite must find no damage. A hold that is lost stays lost: nothing more is stored, read or called until a person has looked.
 */
import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import type { Database, Statement } from 'better-sqlite3'
import { CallmeError } from '../../../domain/errors.ts'
import { damageOf, isBusy } from './store-error.ts'

export interface Hold {
  /** For the beginning of a transaction: no other process has taken the store. @throws CallmeError `store_unavailable` */
  mustOwn(): void
  /** For a commit, before it is answered: the files are there. @throws CallmeError `store_unavailable` */
  mustBeThere(): void
  /** For a read: the files were there within the last second. @throws CallmeError `store_unavailable` */
  mustBeThereLately(): void
  /** Takes note of an error of the database. */
  failed(error: unknown): void
  /** Gives the store to whoever opens it next. */
  release(): void
}

const ignore = (): void => undefined
/** For a database in memory, which nobody else can reach. */
export const NO_HOLD: Hold = { mustOwn: ignore, mustBeThere: ignore, mustBeThereLately: ignore, failed: ignore, release: ignore }

const LOOK_EVERY_MS = 1000
/** A process that lives answers within this time. */
const ANSWER_MS = 3 * LOOK_EVERY_MS
const WAIT_MS = 50

const FIND = 'SELECT token, lock_file, asked FROM owner'
const TAKE = 'REPLACE INTO owner (id, token, lock_file, asked) VALUES (1, ?, ?, NULL)'
const ASK = 'UPDATE owner SET asked = ?'
const ANSWER = 'UPDATE owner SET asked = NULL'
const RELEASE = 'DELETE FROM owner WHERE token = ?'

/** A store and its lock, which this process holds as long as it holds this object. */
export interface LockedFiles {
  /** as a person gave it */
  readonly path: string
  /** of the same file */
  readonly realPath: string
  readonly lockPath: string
  readonly unlock: () => void
}

interface OwnerRow {
  readonly token: string
  readonly lock_file: string
  readonly asked: string | null
}

export class FileHold implements Hold {
  readonly #db: Database
  readonly #find: Statement<[], OwnerRow>
  readonly #files: LockedFiles
  readonly #token: string
  readonly #identities: ReadonlyMap<string, string>
  readonly #timer: NodeJS.Timeout
  #lookedAt = performance.now()
  #lost: CallmeError | undefined

  /**
   * Takes the store.
   * @throws CallmeError `store_in_use` where another process lives that has the store, although its lock file is gone
   */
  constructor(db: Database, files: LockedFiles) {
    this.#db = db
    this.#find = db.prepare(FIND)
    this.#files = files
    const { path, realPath, lockPath } = files
    this.#token = takeStore(db, path, identityOf(lockPath) ?? 'removed')
    this.#identities = new Map([path, `${realPath}-wal`, `${realPath}-shm`].map((file) => [file, identityOf(file) ?? 'missing']))
    this.#timer = setInterval(() => {
      this.#look()
    }, LOOK_EVERY_MS).unref()
  }

  mustOwn(): void {
    this.#mustHold()
    const owner = this.#find.get()
    if (owner?.token !== this.#token) throw this.#lose('another callme has taken it over, or its content was replaced')
    if (owner.asked !== null) this.#db.prepare(ANSWER).run()
  }

  mustBeThere(): void {
    this.#mustHold()
    this.#lookedAt = performance.now()
    for (const [file, identity] of this.#identities) {
      if (identityOf(file) !== identity) throw this.#lose(`${file} is not the file any more that it opened: it was deleted or replaced`)
    }
  }

  mustBeThereLately(): void {
    if (performance.now() - this.#lookedAt > LOOK_EVERY_MS) this.mustBeThere()
    else this.#mustHold()
  }

  failed(error: unknown): void {
    const damage = damageOf(error)
    if (damage !== undefined) this.#lose(damage, error)
  }

  release(): void {
    clearInterval(this.#timer)
    try {
      // A hold that is lost has nothing to give back.
      if (this.#lost === undefined) this.#db.prepare(RELEASE).run(this.#token)
    } catch {
      // The lock file shows as well that this process is gone.
    }
  }

  /** An idle process must notice too, and must answer. */
  #look(): void {
    try {
      this.mustBeThere()
      this.mustOwn()
    } catch (error) {
      this.failed(error)
    }
  }

  #mustHold(): void {
    if (this.#lost !== undefined) throw this.#lost
  }

  #lose(reason: string, cause?: unknown): CallmeError {
    const rest = 'Nothing more is stored or called. Stop callme, put the right file in place, and start it again'
    this.#lost ??= new CallmeError('store_unavailable', `callme has lost its store ${this.#files.path}: ${reason}. ${rest}`, { cause })
    return this.#lost
  }
}

/** @returns the token of the new owner @throws CallmeError `store_in_use` */
function takeStore(db: Database, path: string, lockFile: string): string {
  const token = randomUUID()
  const owner = db.prepare<[], OwnerRow>(FIND).get()
  // Whoever held this very lock file is gone. The lock file of another owner was removed, so only that owner can tell.
  if (owner !== undefined && owner.lock_file !== lockFile && isAlive(db, token)) {
    const message = `${path} is in use by another callme, although its lock file was removed: a SQLite store serves one process; stop that one or give this one its own --store`
    throw new CallmeError('store_in_use', message)
  }
  whenFree(() => db.prepare(TAKE).run(token, lockFile))
  return token
}

/** Asks the owner, and waits for the answer. */
function isAlive(db: Database, token: string): boolean {
  whenFree(() => db.prepare(ASK).run(token))
  for (let waited = 0; waited < ANSWER_MS; waited += WAIT_MS) {
    pause()
    const owner = db.prepare<[], OwnerRow>(FIND).get()
    if (owner?.asked !== token) return owner !== undefined
  }
  return false
}

/** The owner may be writing just now. @throws the error of the last try */
function whenFree(write: () => unknown): void {
  for (let waited = 0; ; waited += WAIT_MS) {
    try {
      write()
      return
    } catch (error) {
      if (!isBusy(error) || waited >= ANSWER_MS) throw error
      pause()
    }
  }
}

/** Nothing else runs before the store is open. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS)
}

/** Device and inode; undefined where there is no file. */
function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats && `${stats.dev}:${stats.ino}`
}
