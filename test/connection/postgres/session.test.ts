// The same requests get the same responses, whatever the defaults of the database and of the role.
import pg from 'pg'
import { expect, it } from 'vitest'
import { openPostgres } from '../../../src/connection/postgres/postgres.ts'
import { sessionSettings } from '../../../src/connection/postgres/session.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { type Service, startService } from '../../support/service.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

// None of them is what the service sets. PostgreSQL's limits are longer than a connection's first statement takes.
const hostile: Record<string, string> = {
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Pacific/Chatham',
  extra_float_digits: '-15',
  array_nulls: 'off',
  search_path: 'elsewhere, pg_temp',
  standard_conforming_strings: 'off',
  default_transaction_isolation: 'serializable',
  statement_timeout: '400ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '50ms',
  idle_session_timeout: '400ms',
  transaction_timeout: '400ms',
  plan_cache_mode: 'force_generic_plan',
  jit: 'on',
  gin_fuzzy_search_limit: '1',
  // Settings that nothing relies on.
  bytea_output: 'escape',
  client_encoding: 'LATIN1',
  row_security: 'off',
  lc_messages: 'C',
}

async function hostileDatabase(): Promise<string> {
  const url = await freshDatabase()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const name = new URL(url).pathname.slice(1)
  for (const [setting, value] of Object.entries(hostile)) {
    const list = setting === 'search_path' ? value : `'${value}'`
    await client.query(`ALTER DATABASE ${name} SET ${setting} = ${list}`)
    await client.query(`ALTER ROLE CURRENT_USER IN DATABASE ${name} SET ${setting} = ${list}`)
  }
  await client.end()
  return url
}

/** A user's life, with lists of all kinds, as it is answered; ids and instants are named by when they first came. */
async function life({ call, makeUser }: Service) {
  const answers: unknown[] = []
  const names = new Map<string, string>()
  const tell = async (method: string, path: string, json?: unknown) => {
    const { status, body } = await call(method, path, json === undefined ? {} : { json })
    answers.push([method, status, body])
    return body
  }
  const contacts = [{ contact_type: 'WORK', value: 'ada@example.com' }]
  const users = []
  for (const username of ['ada', 'Zoë', 'carl', 'bea'])
    users.push(
      await makeUser({ username, name: username === 'bea' ? null : `Name of ${username}`, contacts }),
    )
  const [ada, zoe, , bea] = users
  if (!ada || !zoe || !bea) throw new Error('not all users were made')
  await tell('GET', `/user/${ada.id}`)
  await tell('PATCH', `/user/${ada.id}`, { name: "Ada \\ O'Neill %_", contacts: [...contacts, ...contacts] })
  await tell('PUT', `/user/${zoe.id}`, { username: 'zoe.2', contacts: [] })
  await tell('PATCH', `/user/${bea.id}`, { status: 'BLOCKED' })
  for (const sort of ['created_at', '-created_at', 'updated_at', '-updated_at', 'username', '-name']) {
    const page = (await tell('GET', `/user?limit=2&sort=${sort}&count=exact`)) as unknown as {
      next_cursor: string
    }
    await tell('GET', `/user?limit=2&sort=${sort}&cursor=${page.next_cursor}`)
    page.next_cursor = 'another one each time'
  }
  for (const query of [
    'search=name+of&count=estimate',
    'search=%5C',
    'search=example&status=ACTIVE',
    'contact=ada%40example.com',
    `created_after=${ada.created_at}`,
    `created_before=${zoe.created_at}&sort=username`,
    `updated_after=${encodeURIComponent(new Date(Date.parse(ada.created_at)).toISOString())}`,
    `ids=${ada.id},${bea.id}`,
  ])
    await tell('GET', `/user?${query}`)
  await tell('DELETE', `/user/${bea.id}`)
  await tell('GET', `/user/${bea.id}`)
  await tell('GET', '/ready')

  // Instants must be now, and in order; which they are differs.
  const text = JSON.stringify(answers)
  for (const [instant] of text.matchAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g))
    expect(Math.abs(Date.now() - Date.parse(instant))).toBeLessThan(60_000)
  return text.replaceAll(
    /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}|\d{4}-\d\d-\d\dT[\d:.]+Z|"request_id":"[^"]*"/g,
    (value) => {
      if (value.startsWith('"')) return '"request_id":""'
      const name = names.get(value) ?? `value ${names.size}`
      names.set(value, name)
      return name
    },
  )
}

it('responses are the same as with the defaults', async () => {
  const [usual, other] = [await startService(), await startService({ databaseUrl: await hostileDatabase() })]
  expect(JSON.parse(await life(other))).toEqual(JSON.parse(await life(usual)))
})

it('each setting has the value that the service needs, whatever its default', async () => {
  const db = openPostgres(await hostileDatabase(), silent)
  atEnd(db.close)
  const rows = await db.query((queries) =>
    queries.unprepared<{ name: string; setting: string }>(
      'SELECT name, current_setting(name) AS setting FROM unnest($1::text[]) AS name',
      [Object.keys(sessionSettings)],
    ),
  )
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual(sessionSettings)
  // Each of the database's limits would end this.
  await db.transaction(async (queries) => {
    await queries.unprepared('SELECT pg_sleep(0.5)', [])
  })
  const isolation = await db.transaction(async (queries) => {
    const [row] = await queries.unprepared<{ is: string }>(
      `SELECT current_setting('transaction_isolation') AS is`,
      [],
    )
    return row?.is
  })
  expect(isolation).toBe('read committed')
})
