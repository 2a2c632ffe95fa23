/** The scheduler of one node. This file makes it of its parts, and starts and stops them in the right order. */
import { offsetClock, type Clock, type ClockOffset } from '../clock.ts'
import type { SharedLease } from '../lease.ts'
import { ClockWatch } from './clock-watch.ts'
import { Dispatcher } from './dispatch.ts'
import type { Execution } from './execute.ts'
import { HostLimits, type HostLimitsOptions } from './host-limits.ts'
import { Leases } from './leases.ts'
import { ShortageWatch } from './shortage-watch.ts'
import { Ticker } from './ticker.ts'
import { Upkeep } from './upkeep.ts'

export interface SchedulerOptions extends Omit<Execution, 'clock' | 'shortages'>, HostLimitsOptions {
  /** whether other nodes may have the store open at the same time */
  readonly isShared: boolean
  readonly systemClock: Clock
  /** The scheduler sets it to the lead of the store's clock. The caller must go by the same offset. */
  readonly clockOffset: ClockOffset
  /** The scheduler notes how long its claims hold. The caller must go by the same lease. */
  readonly lease: SharedLease
  /** the part of `node` that stays over a restart */
  readonly nodeName: string
  /** how long finished tasks are kept, in ms; 0 keeps them all */
  readonly retentionMs: number
}

export type Scheduler = ReturnType<typeof createScheduler>

/** How long the node waits after its last call for the store to save the result. */
const SAVE_GRACE_MS = 5000

/** Wires the parts. Nothing runs before `start`. */
export function createScheduler(options: SchedulerOptions) {
  const { store, isShared, caller, systemClock, clockOffset, log, node, nodeName } = options
  const clock = offsetClock(systemClock, clockOffset)
  const clockWatch = new ClockWatch({ store, clock: systemClock, offset: clockOffset, log })
  const followJump = () => clockWatch.followJump()
  const [hosts, shortages] = [new HostLimits(options), new ShortageWatch({ clock, log })]
  const ticker: Ticker = new Ticker({ clock, log, pass: () => followJump().then(() => dispatcher.pass()) })
  /** To be called after a write that makes a task due at `dueAt`, epoch ms. */
  const wake = (dueAt: number): void => {
    caller.prepare()
    ticker.wake(dueAt)
  }
  const dispatcher = new Dispatcher({ ...options, clock, shortages }, hosts, () => {
    wake(clock.now())
  })
  const leases = new Leases({ ...options, clock, claims: () => dispatcher.claims(), wake, followJump })
  const upkeep = new Upkeep({ ...options, clock, followJump })
  let unsubscribe: (() => void) | undefined

  return {
    ...{ wake, openCalls: () => hosts.open },
    readiness: () => ({
      ...{ ...ticker.readiness(), ...shortages.readiness(), clockOffset: clockWatch.offset },
      upkeepFailure: leases.failure ?? upkeep.failure,
    }),
    /** for tests that drive one part alone */
    parts: { clockWatch, hosts, ticker, dispatcher, leases, upkeep },

    /**
     * Measures the clock of the store, rescues the tasks of its own earlier processes, waits for `open`, and then begins to call.
     * @param open what must have succeeded before the first call, such as the API listening
     * @throws CallmeError of the store, or the error of `open`; the scheduler must be stopped then as well
     */
    async start(open?: () => Promise<void>): Promise<void> {
      await clockWatch.runOnce()
      await leases.rescueAbandoned({ onlyNode: node, ...(isShared && { nodeName }) })
      await open?.()
      unsubscribe = store.onDue(wake)
      for (const loop of [ticker, leases, upkeep, clockWatch]) loop.start()
    },

    /** Claims nothing more, gives calls `graceMs` to end, hands the rest back, and waits a little for the saves. Leases are renewed until then. */
    async stop(graceMs: number): Promise<void> {
      unsubscribe?.()
      await Promise.all([...[ticker, upkeep, clockWatch].map((loop) => loop.stop()), caller.stop(graceMs)])
      await atMost(SAVE_GRACE_MS, dispatcher.drained(), clock)
      await leases.stop()
    },
  }
}

/** Waits for `done`, but no longer than `ms`. */
function atMost(ms: number, done: Promise<void>, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.setTimer(ms, resolve)
    void done.then(cancel).then(resolve)
  })
}
