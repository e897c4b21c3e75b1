// An import whose servers are killed at random moments ends with the result of one that ran through.

import pg from 'pg'
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { ndjson, runImport } from '../../support/import.ts'
import { privateFolder, run, started } from '../../support/server-process.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const users = 20_000
const kills = 4

const file = ndjson(
  Array.from({ length: users }, (_, at) => ({
    // Every hundredth row repeats a key, and every thousandth is malformed.
    username: at % 100 === 99 ? `user.${at - 50}` : `user.${at}`,
    name: `User ${at}`,
    external_id: `x|${at}`,
    attributes: { at },
    contacts: [{ contact_type: at % 1_000 === 500 ? 'FAX' : 'EMAIL', value: `user.${at}@example.com` }],
    password: null,
  })),
)

/** Everything that an import stores, except ids and times. */
const digest = `
SELECT
  (SELECT md5(string_agg(concat_ws('|', username, name, external_id, attributes, version, search_text), ',' ORDER BY username)) FROM users) AS users,
  (SELECT md5(string_agg(concat_ws('|', u.username, c.position, c.contact_type, c.value), ',' ORDER BY u.username, c.position))
    FROM contacts c JOIN users u ON u.id = c.user_id) AS contacts,
  (SELECT md5(string_agg(concat_ws('|', line, pointer, message), ',' ORDER BY number)) FROM job_errors) AS errors,
  (SELECT concat_ws('|', state, rows_read, created, updated, skipped, refused) FROM jobs) AS job,
  (SELECT count(*)::int FROM job_created_users c, unnest(c.user_ids) AS made(user_id) JOIN users u ON u.id = made.user_id) AS undoable`

async function connect(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  atEnd(() => client.end())
  return client
}

it('ends with the same rows, report and counts', async () => {
  const service = await startService()
  await runImport(service, file)
  const expected = (await (await connect(service.databaseUrl)).query(digest)).rows[0]
  expect(expected.job).toBe('done|20000|19780|0|0|220')

  const databaseUrl = await freshDatabase()
  const client = await connect(databaseUrl)
  const folder = await privateFolder()
  const open = async () => {
    const server = await run(folder, { DATABASE_URL: databaseUrl })
    return { server, token: await started(server) }
  }
  let { server, token } = await open()
  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Job> => {
    const headers = { authorization: `Bearer ${token}`, ...init.headers }
    return (await (await fetch(server.url + path, { method, ...init, headers })).json()) as Job
  }
  const { id } = await call('POST', '/import', {
    headers: { 'content-type': 'application/json' },
    body: '{"format":"ndjson"}',
  })
  await call('PUT', `/import/${id}/file`, { body: file })
  await call('POST', `/import/${id}/start`)
  const rowsRead = async (): Promise<number> =>
    Number((await client.query('SELECT rows_read FROM jobs')).rows[0].rows_read)
  for (let kill = 1; kill <= kills; kill++) {
    const before = await rowsRead()
    if (before < users) await until('progress', async () => (await rowsRead()) > before, 60_000)
    server.process.kill('SIGKILL')
    await server.exit
    // Instead of waiting until the lease of the killed process runs out.
    await client.query('UPDATE jobs SET leased_until = now() WHERE ended_at IS NULL')
    ;({ server, token } = await open())
  }
  await until(
    'the end',
    async () => (await client.query('SELECT 1 FROM jobs WHERE ended_at IS NOT NULL')).rowCount,
    60_000,
  )
  expect((await client.query(digest)).rows[0]).toEqual(expected)
}, 240_000)
