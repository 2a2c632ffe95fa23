/** A ticker on a fake clock whose passes are noted and do what a test says. */
import { createLog } from '../../src/telemetry/log.ts'
import { Ticker } from '../../src/scheduler/ticker.ts'
import { FakeClock } from './fake-clock.ts'

/** eight o'clock */
export const EIGHT = Date.parse('2027-01-15T08:00:00Z')

/** A ticker whose passes are noted, by the seconds after eight o'clock, and do what `onPass` says. */
export function notedTicker(options: { startAt?: number } = {}) {
  const clock = new FakeClock(options.startAt ?? EIGHT + 20_500)
  const logged: { event: string; [field: string]: unknown }[] = []
  const log = createLog('info', { write: (line) => logged.push(JSON.parse(line) as (typeof logged)[number]) })
  const noticed = {
    passes: [] as number[],
    underWay: 0,
    mostUnderWay: 0,
    onPass: (): Promise<number | undefined> => Promise.resolve(undefined),
  }
  const pass = async (): Promise<number | undefined> => {
    noticed.passes.push((clock.now() - EIGHT) / 1000)
    noticed.underWay += 1
    noticed.mostUnderWay = Math.max(noticed.mostUnderWay, noticed.underWay)
    try {
      return await noticed.onPass()
    } finally {
      noticed.underWay -= 1
    }
  }
  return { clock, logged, noticed, ticker: new Ticker({ clock, log, pass }) }
}

/** Lets a pass end when a test says so. */
export function gate() {
  return Promise.withResolvers<number | undefined>()
}
