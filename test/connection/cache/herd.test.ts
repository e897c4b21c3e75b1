// Thundering herds: many readers of missing keys, on four real server processes.
import { tmpdir } from 'node:os'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { freshDatabase } from '../../support/database.ts'
import { startIssuer, tokenSettings } from '../../support/issuer.ts'
import { uniqueName } from '../../support/service.ts'
import { startServer } from '../../support/started-server.ts'
import { until } from '../../support/wait.ts'

const databaseUrl = await freshDatabase()
const issuer = await startIssuer()
afterAll(issuer.close)
const env = {
  PATH: process.env.PATH ?? '',
  DATABASE_URL: databaseUrl,
  REDIS_URL: inject('redisUrl'),
  ...tokenSettings(issuer.rules),
}
const servers = await Promise.all(Array.from({ length: 4 }, () => startServer(tmpdir(), env)))
const stop = async () => void (await Promise.all(servers.splice(0).map(({ stop }) => stop())))
afterAll(stop)
const token = await issuer.machineToken('users/write')
// Each has its connections and the issuer's keys: to get them takes longer than a read may wait where everything
// starts at once.
beforeAll(async () => {
  for (const { url } of servers)
    await until('a server to be ready', async () => {
      const headers = { authorization: `Bearer ${token}` }
      const { status } = await fetch(`${url}/user/none`, { headers })
      return (await fetch(`${url}/ready`)).ok && status === 400
    })
})

type Answer = { status: number; body: { id: string; version: number } }

/** Asks again when it was too much at once for a machine that is slow. */
async function send(at: number, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(`${servers[at % servers.length]?.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  })
  const answer = { status: response.status, body: (await response.json()) as Answer['body'] }
  return answer.status === 429 ? send(at, method, path, body) : answer
}

/** How often users were looked for in the table: exact when the servers are gone, whose sessions tell at their end. */
async function countReads(): Promise<number> {
  await stop()
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query<{ reads: number }>(
    "SELECT (seq_scan + idx_scan)::int AS reads FROM pg_stat_user_tables WHERE relname = 'users'",
  )
  await client.end()
  return rows[0]?.reads ?? -1
}

it('a thousand readers of a missing key on four processes cause at most four database reads', async () => {
  const { body } = await send(0, 'POST', '/user', { username: uniqueName(), password: 'a-good-password' })
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, at) => send(at, 'GET', `/user/${body.id}`)),
  )
  for (const answer of answers) expect(answer).toEqual({ status: 200, body })
  const reads = await countReads()
  expect(reads).toBeGreaterThan(0)
  expect(reads).toBeLessThanOrEqual(4)
}, 60_000)
