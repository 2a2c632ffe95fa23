/**
 * callme beside the job queues that Node's users know, on the same machine in the same run: one HTTP call per job, one process each, as many
 * calls in flight, and after that `kill -9`. The peers are installed when this bench is asked for.
 */
import { setTimeout } from 'node:timers/promises'
import { Child } from './support/child.ts'
import { printComparison } from './support/comparison.ts'
import { BATCH, CALLERS } from './support/contestant.ts'
import { contestants } from './support/contestants.ts'
import type { Column } from './support/findings.ts'
import { killAfterAnswer, killWhileWorking } from './support/kill-trials.ts'
import type { AfterKill } from './support/kill-trials.ts'
import { readOptions } from './support/options.ts'
import type { ReceiverVerbs } from './support/receiver.ts'
import { runRound } from './support/trials.ts'
import type { RoundFigures } from './support/trials.ts'

const IN_FRONT = 2
const FOREMOST = 1
/** Long enough to be started, killed, and to go on where nothing is waited for. */
const ALONE_MS = 12_000

const CALL_AND_RECORD =
  'Nearly half of it is the HTTP client, which the drain bench shows by itself; the rest claims each task and records its call durably, with a row for the attempt.'

const { rounds, tasks, killed, confirmed, patience } = readOptions({
  rounds: 3,
  tasks: 20_000,
  killed: 5000,
  confirmed: 1024,
  patience: 90,
})
await using receiver = new Child<ReceiverVerbs>('receiver.ts')
const url = await receiver.ask('start')
const entrants = contestants().map((contestant) => ({ contestant, figures: [] as RoundFigures[] }))

for (let round = 0; round < rounds; round += 1) {
  for (const { contestant, figures } of entrants) {
    const measured = await runRound({ contestant, receiver, url, count: tasks })
    figures.push(measured)
    console.log(`  round ${round + 1}, ${contestant.name}: ${JSON.stringify(measured, (_, value: unknown) => rounded(value))}`)
  }
}
const working = await Promise.all(await killEachWhileWorking())
const afterKill = working.map(wordsFor)
const afterAnswer: string[] = []
for (const [index, { contestant }] of entrants.entries()) {
  const there = await killAfterAnswer(contestant, confirmed)
  afterAnswer.push(there === confirmed ? `yes, all ${confirmed}` : `NO, ${confirmed - there} of ${confirmed} lost`)
  console.log(`  kill -9, ${contestant.name}: ${afterKill[index] ?? ''}; ${afterAnswer.at(-1) ?? ''}`)
}

printComparison({
  title: `peers: ${tasks} jobs of one call each, one process, ${rounds} rounds`,
  contestants: entrants.map(({ contestant: { name, product } }) => ({ name, product })),
  columns: [
    { name: 'a job is stored when', cells: entrants.map(({ contestant }) => contestant.storedWhen) },
    column('register, one by one', 'jobs/s', 'more', ({ each }) => each, {
      rank: IN_FRONT,
      otherwise:
        'A PUT crosses a socket, is parsed and checked, and waits for the disk; a library that is called in the same process does the first not at all, and plainjob does not wait for the disk either.',
    }),
    column('register, in bulk', 'jobs/s', 'more', ({ bulk }) => bulk, {
      rank: IN_FRONT,
      otherwise:
        'Most of a batch is the work of its database: each task gets a row that can be found by name, minute and host, an entry in the log of changes, and the commit waits for the disk.',
    }),
    column('drain, until all is recorded', 'jobs/s', 'more', ({ drain }) => drain, {
      rank: IN_FRONT,
      otherwise: CALL_AND_RECORD,
    }),
    column('lateness, p50', 'ms', 'less', ({ late50 }) => late50, {
      rank: FOREMOST,
      otherwise: 'The first call is on time, and half of them take as long as the drain says.',
    }),
    column('lateness, p99', 'ms', 'less', ({ late99 }) => late99, {
      rank: FOREMOST,
      otherwise: 'The first call is on time, and so many take as long as the drain says.',
    }),
    column('CPU, process and store', 'µs/job', 'less', ({ cpuMicros, storeCpuMicros }) => cpuMicros + storeCpuMicros, {
      rank: IN_FRONT,
      otherwise: CALL_AND_RECORD,
    }),
    column('- of it the server of the store', 'µs/job', undefined, ({ storeCpuMicros }) => storeCpuMicros),
    column('peak memory, process and store', 'MB', 'less', ({ memory, storeMemory }) => memory + storeMemory, {
      rank: IN_FRONT,
      otherwise: 'callme is a whole server, with a thread of its own for the calls, where a library is a part of a process.',
    }),
    column('- of it the server of the store', 'MB', undefined, ({ storeMemory }) => storeMemory),
    { name: 'survives kill -9 while it works', cells: afterKill },
    { name: 'survives kill -9 after its answer', cells: afterAnswer },
  ],
  legend: [
    `Register: ${CALLERS} at a time, due in an hour; one by one a quarter of the jobs, after as many to warm up. callme is sent one PUT for each over ${CALLERS} connections, by another process on the same machine; the others are libraries and have no HTTP API, so they are called by ${CALLERS} callers within their own process. In bulk: ${BATCH} at a time, one batch after the other (POST /tasks, addBulk, addMany, addJobs, insert).`,
    'Drain: all are due and stored before; from the first call until the last is recorded.',
    'Lateness: from the whole minute for which all were registered to the arrival of each call.',
    'The call is made with the fetch of Node by all libraries, 128 at a time, and by callme with the HTTP client that it has. plainjob has 128 workers in its process, because one does one job after the other.',
    'CPU and memory are those of the drain: user and system time; resident memory at its highest, of PostgreSQL what each process has for itself and the shared buffers that were touched, counted once. callme and plainjob on SQLite have no server.',
    `kill -9 while it works: the process is killed when half of ${killed} calls have arrived, and started again at once; yes, if each of the jobs was called within ${patience} s of that. A library holds what was under way as locked: BullMQ until it is found stalled, pg-boss for 15 minutes, plainjob for 30 minutes, graphile-worker for 4 hours.`,
    `kill -9 after its answer: ${confirmed} are registered one by one, and with the last answer the process and the server of its store are killed; yes, if all are there after the start. It says nothing of a power cut, which only what is on the disk survives.`,
  ],
})

/** One after the other, but for the time in which one only waits until it may work again. */
async function killEachWhileWorking(): Promise<Promise<AfterKill>[]> {
  const trials: Promise<AfterKill>[] = []
  for (const { contestant } of entrants) {
    const trial = killWhileWorking(contestant, killed, 1000 * patience)
    trials.push(trial)
    await Promise.race([trial, setTimeout(ALONE_MS)])
  }
  return trials
}

function column(name: string, unit: string, better: Column['better'], of: (figures: RoundFigures) => number, aim?: Column['aim']): Column {
  const cells = entrants.map(({ figures }) => figures.map(of))
  return { name, unit, ...(better && { better }), ...(aim && { aim }), cells }
}

function wordsFor({ count, called, repeated, ms }: AfterKill): string {
  const seconds = (ms / 1000).toFixed(1)
  const again = `${repeated} called twice`
  return called === count
    ? `yes, ${again}, all after ${seconds} s`
    : `NO, ${count - called} of ${count} not called after ${seconds} s, ${again}`
}

function rounded(value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value) : value
}
