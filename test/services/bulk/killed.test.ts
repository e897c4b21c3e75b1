// A bulk change whose servers are killed at random moments changes each of its users exactly once, and so does its undo.
import pg from 'pg'
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import { atEnd } from '../../support/cleanup.ts'
import { ndjson, runImport } from '../../support/import.ts'
import { privateFolder, run, started } from '../../support/server-process.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const users = 5_000
const kills = 3

it('each user has one change, and after the undo its former state', async () => {
  const service = await startService()
  const rows = Array.from({ length: users }, (_, at) => ({
    username: `user.${at}`,
    attributes: { at },
    password: null,
  }))
  await runImport(service, ndjson(rows))
  const { databaseUrl } = service
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  atEnd(() => client.end())
  const state = async () =>
    (await client.query('SELECT status, version, count(*)::int FROM users GROUP BY 1, 2 ORDER BY 1, 2')).rows
  expect(await state()).toEqual([{ status: 'ACTIVE', version: 1, count: users }])

  const folder = await privateFolder()
  const open = async () => {
    const server = await run(folder, { DATABASE_URL: databaseUrl })
    return { server, token: await started(server) }
  }
  let { server, token } = await open()
  const call = async (method: string, path: string, json?: object): Promise<Job> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const body = json && { body: JSON.stringify(json) }
    return (await (await fetch(server.url + path, { method, headers, ...body })).json()) as Job
  }
  const rowsRead = async (id: string): Promise<number> =>
    Number((await client.query('SELECT rows_read FROM jobs WHERE id = $1', [id])).rows[0].rows_read)
  const killWhileRunning = async (id: string) => {
    for (let kill = 1; kill <= kills; kill++) {
      const before = await rowsRead(id)
      if (before < users) await until('progress', async () => (await rowsRead(id)) > before, 60_000)
      server.process.kill('SIGKILL')
      await server.exit
      if (kill === 1) expect(await rowsRead(id)).toBeLessThan(users)
      // Instead of waiting until the lease of the killed process runs out.
      await client.query('UPDATE jobs SET leased_until = now() WHERE ended_at IS NULL')
      ;({ server, token } = await open())
    }
    await until('the end', async () => (await call('GET', `/bulk/${id}`)).ended_at !== null, 60_000)
    return call('GET', `/bulk/${id}`)
  }

  const { id } = await call('POST', '/bulk', { action: 'block', filters: { status: 'ACTIVE' } })
  expect(await killWhileRunning(id)).toMatchObject({
    state: 'done',
    rows_total: users,
    rows_read: users,
    updated: users,
  })
  expect(await state()).toEqual([{ status: 'BLOCKED', version: 2, count: users }])
  const undo = await call('POST', `/bulk/${id}/undo`)
  expect(await killWhileRunning(undo.id)).toMatchObject({ state: 'done', updated: users, refused: 0 })
  expect(await state()).toEqual([{ status: 'ACTIVE', version: 3, count: users }])
}, 240_000)
