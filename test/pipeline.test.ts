// Reads that share one connection: each gets its own rows, and whatever happens to that connection none fails by it.
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { openPostgres } from '../src/connection/postgres.ts'
import { freshDatabase } from './support/database.ts'
import { startProxy } from './support/proxy.ts'
import { until } from './support/wait.ts'

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

type Place = { at: number; pid: number }
const read = async (at: number): Promise<Place | undefined> => {
  const text = 'SELECT at, pg_backend_pid() AS pid FROM places WHERE id = $1'
  const rows = await db.read<Place>('place', text, [ids[at - 1] ?? randomUUID()])
  return rows[0]
}
const readAll = () => Promise.all(ids.map((_, at) => read(at + 1)))
const backends = (places: (Place | undefined)[]) => new Set(places.map((place) => place?.pid))
/** Waits until reads share one connection but for the first, and tells which. */
const shared = () =>
  until('reads to share a connection', async () => {
    const places = await readAll()
    return backends(places).size <= 2 ? places.at(-1)?.pid : undefined
  })
const expectAllRight = (places: (Place | undefined)[]) =>
  expect(places.map((place) => place?.at)).toEqual(ids.map((_, at) => at + 1))

it('gives each of many reads at once its own row, and none to who asks for what is not there', async () => {
  await shared()
  for (let round = 0; round < 5; round++) expectAllRight(await readAll())
  expect(await Promise.all([read(1), read(0), read(2)])).toMatchObject([{ at: 1 }, undefined, { at: 2 }])
})

it('answers all the same when the connection ends in the middle, and shares another later', async () => {
  const pid = await shared()
  const reads = readAll()
  await admin.query('SELECT pg_terminate_backend($1)', [pid])
  expectAllRight(await reads)
  expect(await shared()).not.toBe(pid)
})

it('is not held up for longer than its limit by one that waits', async () => {
  await shared()
  await admin.query('BEGIN')
  await admin.query('LOCK TABLE places IN ACCESS EXCLUSIVE MODE')
  const reads = readAll()
  await until('the pool to be asked', async () => {
    const { rows } = await admin.query<{ waiting: number }>(
      `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    )
    return (rows[0]?.waiting ?? 0) > 2
  })
  await admin.query('COMMIT')
  expectAllRight(await reads)
})

it('says no within two seconds when nothing passes, and is back when it does', async () => {
  await shared()
  onTestFinished(proxy.pass)
  proxy.hang()
  const startedAt = performance.now()
  for (const answer of await Promise.allSettled(Array.from({ length: 100 }, (_, at) => read(at + 1))))
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  await proxy.pass()
  await until('an answer', () => read(1).catch(() => undefined))
  expectAllRight(await readAll())
})
