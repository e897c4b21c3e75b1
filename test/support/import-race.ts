// Live writes that race with an import for the same users. `npm run torture -- --import race` runs many, the suite few.
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Job } from '../../src/model/job.ts'
import { ndjson } from './import.ts'
import { type Choice, createImportJudge, type Facts, type History, type ImportJudge } from './import-judge.ts'
import { checkEnd, keyOf, readAll } from './import-race-end.ts'
import { act, type Call } from './import-race-writes.ts'
import { until } from './wait.ts'

type Options = Choice & {
  rows: number
  /** Answered writes, unless the import ends before. */
  writes: number
  url: string
  databaseUrl: string
  token: string
}

/** The choices with different rules. */
export const choices: Choice[] = [
  { on_conflict: 'skip', match: 'username' },
  { on_conflict: 'fail', match: 'username' },
  { on_conflict: 'update', match: 'username' },
  { on_conflict: 'update', match: 'external_id' },
]

const lanes = 16
const seedEvery = 4
/** Writes are aimed at the rows around the import's position. */
const behind = 500
const ahead = 2_500
const importMsMax = 3_600_000
const busyMsMax = 600_000

function rowOf(key: number): Facts {
  return {
    username: `race.${key}`,
    name: `imported ${key}`,
    status: 'ACTIVE',
    external_id: `x|${key}`,
    attributes: { source: 'file' },
    contacts: [{ contact_type: 'EMAIL', value: `race.${key}@example.com` }],
  }
}

/** Users whom the import finds by the field that it matches. */
function seedOf(key: number, { match }: Choice): Facts {
  return {
    ...rowOf(key),
    username: match === 'username' ? `race.${key}` : `seed.${key}`,
    name: `seed ${key}`,
    attributes: { source: 'seed', floor: key % 9 },
    contacts: [{ contact_type: 'PHONE', value: `+44 ${key}` }],
  }
}

export type Race = { judge: ImportJudge; job: Job; writes: number; statuses: Map<number, number> }

/** @returns after the judge has checked the final state */
export async function raceWithImport(options: Options): Promise<Race> {
  const { rows, writes, url, databaseUrl, token, on_conflict, match } = options
  const judge = createImportJudge({ on_conflict, match }, rowOf)
  const send = async <T>(method: string, path: string, body?: unknown) => {
    const answer = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && !(body instanceof Uint8Array) && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: body instanceof Uint8Array ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    const text = await answer.text()
    return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T }
  }
  /** For all but the judged writes: repeated while the server is busy. */
  const call: Call = (method, path, body) =>
    until(
      `${method} ${path}`,
      async () => {
        const answer = await send<never>(method, path, body)
        return [429, 503].includes(answer.status) ? undefined : answer
      },
      busyMsMax,
    )
  const startImport = async (users: object[], choice: object): Promise<string> => {
    const { body: job } = await call<Job>('POST', '/import', { format: 'ndjson', ...choice })
    await call('PUT', `/import/${job.id}/file`, ndjson(users))
    const { status } = await call('POST', `/import/${job.id}/start`)
    if (status >= 400) throw new Error(`the import does not start: ${status}`)
    return job.id
  }
  const readJob = async (id: string) => (await call<Job>('GET', `/import/${id}`)).body
  const end = (id: string) =>
    until(
      'the import to end',
      async () => {
        const job = await readJob(id)
        return job.ended_at === null ? undefined : job
      },
      importMsMax,
    )

  const keys = Array.from({ length: rows }, (_, key) => key)
  const password = { password: null }
  const seeds = keys.filter((key) => key % seedEvery === 0)
  await end(
    await startImport(
      seeds.map((key) => ({ ...seedOf(key, options), ...password })),
      {},
    ),
  )
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const histories = new Map<number, History[]>()
    for (const user of await readAll(client)) {
      const key = keyOf(user.external_id)
      histories.set(key, [judge.seed(key, user)])
    }
    // A row that gives no status keeps that of the user.
    const file = keys.map((key) => ({ ...rowOf(key), status: undefined, ...password }))
    const id = await startImport(file, { on_conflict, match })

    let position = 0
    let isOver = false
    const follow = async () => {
      while (!isOver) {
        const job = await readJob(id)
        position = job.rows_read
        isOver ||= job.ended_at !== null
        await delay(50)
      }
    }
    let answered = 0
    const statuses = new Map<number, number>()
    const write = async <T>(method: string, path: string, body?: unknown) => {
      const answer = await send<T>(method, path, body).catch(() => undefined)
      const status = answer?.status ?? 0
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status >= 200 && status < 500 && status !== 429 && ++answered >= writes) isOver = true
      return answer
    }
    const work = async (lane: number) => {
      for (let turn = 0; !isOver; turn++) {
        // Each lane has its own keys, so that only the import interferes with its order.
        const near = position - behind + Math.floor(Math.random() * (behind + ahead))
        const first = Math.floor(Math.min(Math.max(near, 0), rows - lanes) / lanes) * lanes
        const known = histories.get(first + lane) ?? []
        histories.set(first + lane, known)
        await act({ judge, call, write, key: first + lane, known, turn: `${lane}/${turn}` })
      }
    }
    const ends = await Promise.allSettled([
      follow(),
      ...Array.from({ length: lanes }, (_, lane) => work(lane).finally(() => (isOver = true))),
    ])
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    const job = await end(id)
    await checkEnd({ judge, client, call, job, rows, on_conflict })
    return { judge, job, writes: answered, statuses }
  } finally {
    await client.end()
  }
}
