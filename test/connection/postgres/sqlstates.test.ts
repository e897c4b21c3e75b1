// Failures by SQLSTATE are retried if that is safe, a 503 if they are temporary, and a 500 otherwise.
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { freshDatabase } from '../../support/database.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const databaseUrl = await freshDatabase()
const admin = new pg.Client({ connectionString: databaseUrl })
await admin.connect()
afterAll(() => admin.end())
const { call, makeUser, connections, log } = await startService({ databaseUrl })
const { db } = connections

beforeAll(async () => {
  // A name says which state a change of it raises, and how often: a sequence is not rolled back.
  await admin.query(`
    CREATE SEQUENCE raised;
    CREATE FUNCTION raise_state() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('raised') <= split_part(NEW.name, ' ', 3)::int THEN
        RAISE EXCEPTION 'raised by the test' USING ERRCODE = split_part(NEW.name, ' ', 2);
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER raise_state BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.name LIKE 'raise %')
      EXECUTE FUNCTION raise_state()`)
})

/** A change that PostgreSQL refuses with that state, so often. */
async function changeThatRaises(state: string, { times }: { times: number }) {
  const user = await makeUser()
  await admin.query("SELECT setval('raised', 1, false)")
  const answer = await call<User & { type: string; detail: string }>('PATCH', `/user/${user.id}`, {
    json: { name: `raise ${state} ${times}` },
  })
  const { rows } = await admin.query<{ version: number }>('SELECT version FROM users WHERE id = $1', [
    user.id,
  ])
  return { ...answer, stored: rows[0]?.version }
}

describe('a transaction that conflicts with others', () => {
  it.each(['40001', '40P01'])('is retried after %s', async (state) => {
    const { status, body, stored } = await changeThatRaises(state, { times: 2 })
    expect([status, body.version, stored]).toEqual([200, 2, 2])
  })

  it.each(['40001', '40P01'])('is 503 with Retry-After if %s persists', async (state) => {
    const { status, headers, stored } = await changeThatRaises(state, { times: 100 })
    expect([status, headers.get('retry-after'), stored]).toEqual([503, '1', 1])
  })

  it('is retried if it is the victim of a real deadlock', async () => {
    const [one, other] = [await makeUser(), await makeUser()]
    let met = 0
    const { promise: both, resolve } = Promise.withResolvers<void>()
    const lockBoth = (first: User, second: User) =>
      db.transaction(async (queries) => {
        await queries.unprepared('SELECT FROM users WHERE id = $1 FOR UPDATE', [first.id])
        if (++met === 2) resolve()
        await both
        await queries.unprepared('SELECT FROM users WHERE id = $1 FOR UPDATE', [second.id])
        return 'done'
      })
    expect(await Promise.all([lockBoth(one, other), lockBoth(other, one)])).toEqual(['done', 'done'])
    // The first two, and the one that was done again.
    expect(met).toBe(3)
  })
})

it.each(['53100', '25006', '57P05', '55P03'])(
  '%s is 503 with Retry-After, changes nothing, and the next request is served',
  async (state) => {
    const { status, headers, body, stored } = await changeThatRaises(state, { times: 1 })
    expect([status, headers.get('retry-after'), stored]).toEqual([503, '1', 1])
    expect(body).toMatchObject({
      type: 'urn:problem:unavailable',
      detail: expect.stringContaining('database'),
    })
    expect((await makeUser()).version).toBe(1)
  },
)

/** Raises a state in a session of the service. @returns what came of it, and the session's process */
async function raise(state: string) {
  let pid: number | undefined
  const outcome = await db
    .query(async (queries) => {
      const [session] = await queries.unprepared<{ pid: number }>('SELECT pg_backend_pid() AS pid', [])
      pid = session?.pid
      await queries.unprepared(`DO $$ BEGIN RAISE 'by the test' USING ERRCODE = '${state}'; END $$`, [])
    })
    .catch((error: unknown) => error)
  return { outcome, pid }
}

const sessions = async (): Promise<number[]> => {
  const { rows } = await admin.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'user-directory'`,
  )
  return rows.map(({ pid }) => pid)
}

it.each(['55P03', '57014', '53000', '53100', '53200', '53400', '58000', '58030', '72000', '40001'])(
  '%s will pass: the call is `unavailable`, the connection stays',
  async (state) => {
    const { outcome, pid } = await raise(state)
    expect(outcome).toMatchObject({ code: 'unavailable', retryAfterSeconds: 1, cause: { code: state } })
    expect(await sessions()).toContain(pid)
  },
)

// biome-ignore format: a table
const fatal = [
  '08000', '08003', '08006', '08P01', '53300', '57000', '57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04',
  '26000', '42P05', '0A000',
]
it.each(fatal)(
  '%s costs the connection: the call is `unavailable`, the next one is served',
  async (state) => {
    const { outcome, pid } = await raise(state)
    expect(outcome).toMatchObject({ code: 'unavailable', retryAfterSeconds: 1, cause: { code: state } })
    await db.check()
    await until('the connection to be gone', async () => !(await sessions()).includes(pid ?? 0))
  },
)

it('PostgreSQL cancels a slow statement, which costs neither the connection nor other calls', async () => {
  let pid: number | undefined
  const call = db.query(async (queries) => {
    const [session] = await queries.unprepared<{ pid: number }>('SELECT pg_backend_pid() AS pid', [])
    pid = session?.pid
    await queries.unprepared('SELECT pg_sleep(5)', [])
  })
  await expect(call).rejects.toMatchObject({ code: 'unavailable', cause: { code: '57014' } })
  await db.check()
  expect(await sessions()).toContain(pid)
})

it.each(['XX000', 'XX001', '42501', '22012', 'P0001'])(
  '%s is a fault: it is thrown as it is',
  async (state) => {
    expect((await raise(state)).outcome).toMatchObject({ code: state })
  },
)

it('a bug is a 500 without the error text, which is logged', async () => {
  const { status, text } = await changeThatRaises('XX000', { times: 1 })
  expect([status, text.includes('raised by')]).toEqual([500, false])
  expect(log.some(({ level, message }) => level === 'error' && message === 'request failed')).toBe(true)
})
