import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject, vi } from 'vitest'
import { openSqliteStore } from '../../src/store/sqlite/open-sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { storeContract } from './contract.ts'
import type { OpenStore } from './contract/support/area.ts'

async function open(): Promise<OpenStore> {
  const folder = await mkdtemp(join(tmpdir(), 'callme-store-'))
  const path = join(folder, 'callme.db')
  const opened: OpenStore & { store: Store } = {
    where: { kind: 'sqlite', path },
    store: openSqliteStore(path),
    async reopen(options) {
      await opened.store.close()
      opened.store = openSqliteStore(path, options)
      return opened.store
    },
    async dispose() {
      await opened.store.close()
      await rm(folder, { recursive: true })
    },
  }
  return opened
}

vi.setConfig({ testTimeout: inject('isNightly') ? 600_000 : 60_000 })
storeContract({ name: 'SQLite', open })
