// Batched reads: each gets its own row, and a failed statement fails only its own reads.
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { openPostgres } from '../../../src/connection/postgres/postgres.ts'
import { freshDatabase } from '../../support/database.ts'
import { startProxy } from '../../support/proxy.ts'
import { until } from '../../support/wait.ts'

const direct = new URL(await freshDatabase())
const proxy = await startProxy({ host: direct.hostname, port: Number(direct.port) })
afterAll(proxy.close)
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const db = openPostgres(Object.assign(new URL(direct), { port: String(proxy.port) }).href, silent)
afterAll(() => db.close())
const admin = new pg.Client({ connectionString: direct.href })
await admin.connect()
afterAll(() => admin.end())
await admin.query('CREATE TABLE places (id uuid PRIMARY KEY, at int)')
const ids = Array.from({ length: 500 }, () => randomUUID())
await admin.query('INSERT INTO places SELECT id, at FROM unnest($1::uuid[]) WITH ORDINALITY AS u (id, at)', [
  ids,
])

type Place = { key: string; at: number; statement: string }
const text = `
  SELECT id AS key, at, pg_backend_pid() || ' ' || statement_timestamp() AS statement
  FROM places WHERE id = ANY($1::uuid[])`
const read = (at: number): Promise<Place | undefined> =>
  db.readByKey<Place>('places', text, ids[at - 1] ?? randomUUID())
const readAll = () => Promise.all(ids.map((_, at) => read(at + 1)))
const expectAllRight = (places: (Place | undefined)[]) =>
  expect(places.map((place) => place?.at)).toEqual(ids.map((_, at) => at + 1))

it('returns each of many concurrent reads its own row, in few statements', async () => {
  const places = await readAll()
  expectAllRight(places)
  // Of a hundred keys, and one more where what asked first did not wait for the others.
  expect(new Set(places.map((place) => place?.statement)).size).toBeLessThanOrEqual(6)
})

it('returns undefined for a missing key, and the same row for the same key', async () => {
  const answers = await Promise.all([read(1), read(0), read(2), read(1)])
  expect(answers).toMatchObject([{ at: 1 }, undefined, { at: 2 }, { at: 1 }])
})

/** Until that many statements wait for the table, which `admin` has locked. */
const untilWaiting = (statements: number) =>
  until('statements to wait', async () => {
    const { rows } = await admin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    return rows.length === statements ? rows.map(({ pid }) => pid) : undefined
  })
const lock = async () => {
  await admin.query('BEGIN')
  await admin.query('LOCK TABLE places IN ACCESS EXCLUSIVE MODE')
}

it('returns no row of a statement that began before the read', async () => {
  await lock()
  const before = read(1)
  await untilWaiting(1)
  const after = read(1)
  await untilWaiting(2)
  await admin.query('COMMIT')
  expect((await after)?.statement).not.toBe((await before)?.statement)
})

it('lets more reads wait than fit into one statement', async () => {
  await lock()
  const reads = readAll()
  await untilWaiting(2)
  const more = readAll()
  await admin.query('COMMIT')
  expectAllRight(await reads)
  expectAllRight(await more)
})

it('rejects the reads of a lost connection, and serves their retries', async () => {
  await lock()
  const reads = Promise.allSettled(ids.map((_, at) => read(at + 1)))
  const pids = await untilWaiting(2)
  await admin.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [pids])
  await admin.query('COMMIT')
  const refused = (await reads).filter(({ status }) => status === 'rejected')
  expect(refused.length).toBeGreaterThanOrEqual(200)
  for (const answer of refused) expect(answer).toMatchObject({ reason: { code: 'unavailable' } })
  expectAllRight(await until('all to be answered', () => readAll().catch(() => undefined)))
})

it('rejects reads within two seconds when nothing passes, and recovers', async () => {
  await readAll()
  onTestFinished(proxy.pass)
  proxy.hang()
  const startedAt = performance.now()
  for (const answer of await Promise.allSettled(ids.map((_, at) => read(at + 1))))
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  await proxy.pass()
  expectAllRight(await until('all to be answered', () => readAll().catch(() => undefined)))
})
