import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MINUTE, aTask } from '../support/a-task.ts'
import { openApi } from '../support/open-api.ts'
import type { Api } from '../support/open-api.ts'
import { expectProblem, expectTask } from '../support/wire.ts'

let api: Api
beforeEach(async () => {
  api = await openApi()
})
afterEach(() => api.close())

/** Entries as `name@minutes after MINUTE`. */
async function store(...entries: string[]): Promise<void> {
  const tasks = entries.map((entry) => {
    const [name = '', minutes] = entry.split('@')
    return aTask({ name, triggerAt: MINUTE + Number(minutes) * 60 })
  })
  await api.store.put(tasks, { now: api.clock.now() })
}

async function get(path: string): Promise<{ entries: string[]; next: string | undefined; link: string | undefined }> {
  const answer = await api.http.get(path)
  expect(answer.status, answer.text).toBe(200)
  expect(Object.keys(answer.body)).toEqual(answer.body.next === undefined ? ['tasks'] : ['tasks', 'next'])
  const entries = (answer.body.tasks as unknown[]).map((value) => {
    const task = expectTask(value)
    return `${task.task_name}@${(Number(task.trigger_at) - MINUTE) / 60}`
  })
  return { entries, next: answer.body.next, link: answer.headers['link'] }
}

describe('GET of one entry', () => {
  it.each(['state=failed', 'limit=5', `from=${MINUTE}`, 'to=1', 'future_only', 'start_from=a@60'])(
    'refuses ?%s, which chooses among many, and takes pretty',
    async (query) => {
      await store('a@0')
      const sentence = expectProblem(await api.http.get(`/task/a@${MINUTE}?${query}`), 400, `?${query.split('=')[0]}`)
      expect(sentence).toMatch(/^unknown query parameter .* Known are pretty$/)
      expect((await get(`/task/a@${MINUTE}?pretty`)).entries).toEqual(['a@0'])
    },
  )

  it.each(['task', 'status'])('answers it with its history at /%s/<key>', async (resource) => {
    const task = await api.called('done', 200)
    const answer = await api.http.get(`/${resource}/done@${MINUTE}`)
    expect(answer.status).toBe(200)
    expect(answer.body.tasks).toHaveLength(1)
    expect(expectTask(answer.body.tasks[0])).toMatchObject({
      task_name: 'done',
      task_state: 'successful',
      run_id: task.runId,
      attempts: 1,
      next_attempt: null,
      executed_at: String(MINUTE + 1),
      response_status: 200,
      response_body: 'answer 200',
      error: null,
      history: [
        {
          run_id: task.runId,
          number: 1,
          start: new Date(MINUTE * 1000 + 100).toISOString(),
          duration_ms: 1250,
          status: 200,
          error: null,
          node: 'node-a',
        },
      ],
    })
  })

  it('says why it failed', async () => {
    await api.called('gone', 404)
    const [task] = (await api.http.get(`/task/gone@${MINUTE}`)).body.tasks
    expect(task).toMatchObject({ task_state: 'failed', response_status: 404, error: 'answered 404, expected 200' })
    expect(task.history).toMatchObject([{ status: 404, error: 'answered 404, expected 200' }])
  })

  it('says when the next attempt of a retrying one is due', async () => {
    const { dueAt } = await api.called('again', 503)
    const [task] = (await api.http.get(`/task/again@${MINUTE}`)).body.tasks
    expect(task).toMatchObject({ task_state: 'retrying', next_attempt: new Date(dueAt).toISOString() })
  })

  it('has an empty history before the first attempt, and none in lists', async () => {
    await store('a@0')
    expect((await api.http.get(`/task/a@${MINUTE}`)).body.tasks[0].history).toEqual([])
    expect((await api.http.get('/task/a')).body.tasks[0]).not.toHaveProperty('history')
  })

  it('answers 404 for a key that nothing has', async () => {
    await store('a@0')
    expect(expectProblem(await api.http.get(`/task/a@${MINUTE + 60}`), 404)).toContain(`no entry "a@${MINUTE + 60}"`)
    expect(expectProblem(await api.http.get(`/status/b@${MINUTE}`), 404)).toContain(`no entry "b@${MINUTE}"`)
  })

  it.each([`a@b@${MINUTE}`, `a@${MINUTE + 1}`, 'a@', `@${MINUTE}`, 'a@-60', 'a@1e9', 'a@%00', 'a@9999999999960'])(
    'refuses the key %s',
    async (key) => {
      expectProblem(await api.http.get(`/task/${key}`), 400, key.startsWith('@') ? '/task_name' : '/task_key')
    },
  )

  it.each(['%zz@60', '%'])('refuses the wrong percent-encoding of %s', async (key) => {
    expect(expectProblem(await api.http.get(`/task/${key}`), 400, 'path')).toContain('the name or key in the path must be')
  })
})

describe('GET of a name', () => {
  it('answers its entries, oldest first, and no others', async () => {
    await store('a@5', 'b@1', 'a@-3', 'ab@2', 'a@0')
    expect(await get('/task/a')).toEqual({ entries: ['a@-3', 'a@0', 'a@5'], next: undefined, link: undefined })
    expect((await get('/status/a')).entries).toEqual(['a@-3', 'a@0', 'a@5'])
  })

  it('answers 404 for a name that nothing has, and an empty list where only the filter finds nothing', async () => {
    await store('a@5')
    expect(expectProblem(await api.http.get('/task/b'), 404)).toContain('no task "b"')
    expect((await get('/task/a?state=failed')).entries).toEqual([])
    expect(expectProblem(await api.http.get('/task/b?state=failed'), 404)).toContain('no task "b"')
  })
})

describe('GET of all', () => {
  it.each(['/task/', '/task', '/status/', '/status'])('answers every entry by trigger_at, then name, at %s', async (path) => {
    await store('b@1', 'ä@1', 'a@1', 'c@0', 'B@1', 'z@-1')
    expect((await get(path)).entries).toEqual(['z@-1', 'c@0', 'B@1', 'a@1', 'b@1', 'ä@1'])
  })

  it('answers an empty list when there is nothing', async () => {
    expect((await get('/task/')).entries).toEqual([])
  })

  it('holds 100 entries unless limit says otherwise, up to 1 000', async () => {
    await store(...Array.from({ length: 1001 }, (_, n) => `a@${n}`))
    expect((await get('/task/')).entries).toHaveLength(100)
    expect((await get('/task/?limit=1')).entries).toEqual(['a@0'])
    const page = await get('/task/a?limit=1000')
    expect(page.entries).toHaveLength(1000)
    expect(page.next).toBe(`a@${MINUTE + 999 * 60}`)
    expect(await get(`/task/a?limit=1000&start_from=${page.next}`)).toEqual({ entries: ['a@1000'], next: undefined, link: undefined })
  })

  it('has no next on a page that ends exactly at the last entry', async () => {
    await store('a@0', 'a@1')
    expect(await get('/task/?limit=2')).toEqual({ entries: ['a@0', 'a@1'], next: undefined, link: undefined })
  })

  it('links the next page with the same parameters', async () => {
    await store('a b'.replace(' ', '+') + '@0', 'ä&<>@0', 'ä&<>@1', 'ä&<>@2')
    const path = `/status/${encodeURIComponent('ä&<>')}?limit=1&state=pending,failed&pretty`
    const entries: string[] = []
    let link: string | undefined = `<${path}>; rel="next"`
    while (link !== undefined) {
      const url: string | undefined = /^<(\/status\/[^<>]*)>; rel="next"$/.exec(link)?.[1]
      expect(url).toContain('state=pending')
      const page = await get(url ?? '')
      entries.push(...page.entries)
      link = page.link
    }
    expect(entries).toEqual(['ä&<>@0', 'ä&<>@1', 'ä&<>@2'])
  })

  it('takes start_from as next holds it, encoded or typed, also with a plus in the name', async () => {
    await store('a+b@0', 'a+c@0', 'd@0')
    const { next } = await get('/task/?limit=1')
    expect(next).toBe(`a+b@${MINUTE}`)
    for (const start of [next ?? '', encodeURIComponent(next ?? '')]) {
      expect((await get(`/task/?start_from=${start}`)).entries).toEqual(['a+c@0', 'd@0'])
    }
  })

  it('holds every entry exactly once over all pages while others come and go', async () => {
    const staying = Array.from({ length: 50 }, (_, n) => `stay${n % 7}@${Math.floor(n / 3)}`).filter(
      (entry, n, all) => all.indexOf(entry) === n,
    )
    const leaving = Array.from({ length: 20 }, (_, n) => `leave@${n}`)
    await store(...staying, ...leaving)
    const seen: string[] = []
    let next: string | undefined
    for (let page = 0; page === 0 || next !== undefined; page += 1) {
      const answer = await get(`/task/?limit=7${next === undefined ? '' : `&start_from=${next}`}`)
      seen.push(...answer.entries)
      next = answer.next
      // Entries appear before, at and behind the cursor, and the one that the cursor names goes.
      await store(`new${page}@${page}`, `new${page}@-${page + 1}`, `new${page}@30`)
      await api.store.remove({ name: 'leave', from: MINUTE + page * 60, to: MINUTE + (page + 1) * 60 }, { now: 0, limit: 1 })
      if (next?.startsWith('new')) await api.http.delete(`/task/${next}`)
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((entry) => entry.startsWith('stay')).sort()).toEqual([...staying].sort())
  })

  it('ends a page of large payloads early and goes on with the next', async () => {
    const payload = 'x'.repeat(2 ** 20)
    const tasks = Array.from({ length: 40 }, (_, n) => aTask({ triggerAt: MINUTE + n * 60, definition: { payload } }))
    await api.store.put(tasks, { now: api.clock.now() })
    const sizes: number[] = []
    let next: string | undefined
    do {
      const page = await get(`/task/?limit=1000${next === undefined ? '' : `&start_from=${next}`}`)
      sizes.push(page.entries.length)
      next = page.next
    } while (next !== undefined)
    expect(sizes).toEqual([16, 16, 8])
  })
})

describe('the filters of a list', () => {
  beforeEach(async () => {
    await api.called('ok', 200)
    await api.called('gone', 404)
    await api.called('again', 503)
    await api.claimed('busy')
    await store('late@-2', 'soon@1', 'later@2')
  })

  it.each([
    ['state=failed', ['gone@0']],
    ['state=running', ['busy@0']],
    ['state=failed,successful,failed', ['gone@0', 'ok@0']],
    ['state=pending,retrying', ['late@-2', 'again@0', 'soon@1', 'later@2']],
    ['state=skipped', []],
    ['future_only', ['again@0', 'busy@0', 'gone@0', 'ok@0', 'soon@1', 'later@2']],
    ['future_only=false&state=pending', ['late@-2', 'soon@1', 'later@2']],
    ['future_only=0&state=pending&limit=1', ['late@-2']],
    [`from=${MINUTE + 1}`, ['soon@1', 'later@2']],
    [`from=${MINUTE}&to=${MINUTE}`, []],
    ['from=now&to=+1m30s', ['again@0', 'busy@0', 'gone@0', 'ok@0']],
    ['from=-24h&to=now', ['late@-2']],
    ['from=2027-01-15T09:01&timezone=Europe/Berlin', ['soon@1', 'later@2']],
    ['from=2027-01-16', []],
    [`from=${MINUTE}&to=${MINUTE + 1}&state=failed,retrying`, ['again@0', 'gone@0']],
    [`to=${MINUTE}`, ['late@-2']],
    [`to=${new Date(MINUTE * 1000).toISOString()}`, ['late@-2']],
    [`from=${MINUTE + 60}&to=${MINUTE + 120}`, ['soon@1']],
    [`from=${new Date(MINUTE * 1000 + 7_260_000).toISOString().slice(0, 19)}+02:00`, ['soon@1', 'later@2']],
    [`from=${MINUTE - 600}&future_only=1&state=pending`, ['soon@1', 'later@2']],
  ])('%s', async (query, expected) => {
    expect((await get(`/task/?${query}`)).entries).toEqual(expected)
  })

  it('leaves out the present minute with future_only', async () => {
    api.clock.jump(30_000)
    expect((await get('/task/?future_only=true')).entries).toEqual(['soon@1', 'later@2'])
  })

  it.each([
    ['state=', '?state'],
    ['state=finished', '?state'],
    ['state=failed,', '?state'],
    ['state=Failed', '?state'],
    ['from=yesterday', '?from'],
    ['from=', '?from'],
    ['to=2030-01-01T09:00', '?to'],
    ['timezone=Berlin', '?timezone'],
    ['to=-1', '?to'],
    ['to=2030-02-30T00:00:00Z', '?to'],
    ['limit=0', '?limit'],
    ['limit=1001', '?limit'],
    ['limit=1e2', '?limit'],
    ['limit=', '?limit'],
    ['limit=-5', '?limit'],
    ['limit=5.5', '?limit'],
    ['start_from=', '?start_from'],
    ['start_from=a', '?start_from'],
    ['start_from=a@61', '?start_from'],
    ['future_only=maybe', '?future_only'],
    ['pretty=yes', '?pretty'],
    ['state=failed&state=pending', '?state'],
    ['pretty&pretty', '?pretty'],
    ['stat=failed', '?stat'],
    ['all=true', '?all'],
    ['__proto__=1', '?__proto__'],
    ['constructor=1', '?constructor'],
    ['from=%zz', '?'],
    ['start_from=%FF@60', '?'],
  ])('refuse %s', async (query, pointer) => {
    for (const path of ['/task/', '/status/ok', `/task/ok@${MINUTE}`]) {
      const sentence = expectProblem(await api.http.get(`${path}?${query}`), 400, pointer)
      expect(sentence).toMatch(/must be|^unknown query parameter [^]*Known are/)
    }
  })

  it.each([
    ['stat', 'state'],
    ['cursor', 'start_from'],
    ['until', 'to'],
  ])('are offered by the name that was meant where they are %s', async (sent, meant) => {
    const sentence = expectProblem(await api.http.get(`/task/?${sent}=failed`), 400, `?${sent}`)
    expect(sentence).toContain(`unknown query parameter "${sent}"; did you mean "${meant}"?`)
  })
})

describe('pretty', () => {
  it.each(['pretty', 'pretty=true', 'pretty=1', 'limit=5&pretty', 'pretty=&limit=5'])('indents by four spaces with ?%s', async (query) => {
    await store('a@0', 'a@1')
    const answer = await api.http.get(`/task/?${query}`)
    expect(answer.text).toBe(`${JSON.stringify(answer.body, null, 4)}\n`)
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)))
  })

  it('indents an empty list, a page with next and a payload with line breaks like JSON.stringify', async () => {
    const empty = await api.http.get('/task/?pretty')
    expect(empty.text).toBe(`${JSON.stringify({ tasks: [] }, null, 4)}\n`)
    const definition = { payload: { text: 'a\nb', list: [{}, [], 'é'] } }
    await api.store.put([aTask({ definition }), aTask({ triggerAt: MINUTE + 60 })], { now: api.clock.now() })
    const page = await api.http.get('/task/?pretty&limit=1')
    expect(page.text).toBe(`${JSON.stringify(page.body, null, 4)}\n`)
    expect(page.body.next).toBe(`a-task@${MINUTE}`)
  })

  it.each(['limit=5', 'pretty=false', 'pretty=0', 'start_from=pretty@60'])('stays one line with ?%s', async (query) => {
    const answer = await api.http.get(`/task/?${query}`)
    expect(answer.text).toBe(`${JSON.stringify(answer.body)}\n`)
  })

  it('indents errors too', async () => {
    for (const path of ['/task/none?pretty', '/nothing?pretty', '/task/?limit=0&pretty', '/task/%zz?pretty']) {
      const answer = await api.http.get(path)
      expect(answer.text).toBe(`${JSON.stringify(answer.body, null, 4)}\n`)
    }
  })
})
