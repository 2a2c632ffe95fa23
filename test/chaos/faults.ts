/** Carries out the misfortunes of a plan at their times, and notes from when to when each lasted. */
import { statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { limitFileSize } from '../support/disk-limit.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import type { Program } from '../support/program.ts'
import type { Child } from '../bench/support/child.ts'
import type { Trouble } from './evidence.ts'
import type { NodeSlot } from './node-slot.ts'
import type { Fault, Misfortune } from './plan.ts'
import type { ReceiverVerbs } from './receiver-process.ts'

export interface FaultTargets {
  readonly slots: readonly NodeSlot[]
  /** absent where the store is a file */
  readonly database?: PostgresServer
  /** absent where the store is a database */
  readonly file?: string
  readonly receiver: Child<ReceiverVerbs>
  readonly seed: number
  readonly onTrouble: (trouble: Trouble) => void
  /** aborts when nothing more is to go wrong */
  readonly left: AbortSignal
}

const LOOK_EVERY_MS = 50

/** Resolves when all of them are over. @param startedAt epoch ms */
export async function carryOut(plan: readonly Fault[], targets: FaultTargets, startedAt: number): Promise<void> {
  await Promise.all(
    plan.map(async (fault) => {
      await setTimeout(Math.max(0, startedAt + fault.at - Date.now()), undefined, { signal: targets.left })
      await befall(fault, targets)
    }),
  )
}

/** Has one misfortune happen now. Resolves when it is over. */
export async function befall(fault: Misfortune & { readonly lasts: number }, targets: Omit<FaultTargets, 'left'>): Promise<void> {
  const { slots, database, file, receiver, seed, onTrouble } = targets
  const slot = 'node' in fault ? slots[fault.node] : undefined
  const from = Date.now()
  const over = (what: Trouble['what']): void => {
    onTrouble({ what, from, to: Date.now() })
  }
  switch (fault.does) {
    case 'kill':
      return slot?.kill(fault.lasts)
    case 'stop':
      return slot?.stop(fault.lasts)
    case 'freeze':
      return slot?.freeze(fault.lasts)
    case 'fill the disk':
      await fillDisk(slots[0], file, fault)
      over('store')
      return
    case 'stop the database':
    case 'crash the database':
      await (fault.does === 'stop the database' ? database?.stop() : database?.kill())
      await setTimeout(fault.lasts)
      await database?.start()
      over('store')
      return
    case 'close the receiver':
      await receiver.ask('close')
      await setTimeout(fault.lasts)
      await receiver.ask('open', seed)
      over('receiver')
  }
}

/** The disk is full for every process that runs meanwhile. */
async function fillDisk(
  slot: NodeSlot | undefined,
  file: string | undefined,
  { share, lasts }: Extract<Misfortune & { readonly lasts: number }, { share: number }>,
) {
  if (slot === undefined || file === undefined) return
  const bytes = Math.floor((statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) * share)
  const limited = new Set<Program>()
  for (const until = Date.now() + lasts; Date.now() < until;) {
    const { program } = slot
    if (program !== undefined && !limited.has(program)) limitFileSize(program.pid, bytes)
    if (program !== undefined) limited.add(program)
    await setTimeout(LOOK_EVERY_MS)
  }
  for (const program of limited) limitFileSize(program.pid, 'unlimited')
}
