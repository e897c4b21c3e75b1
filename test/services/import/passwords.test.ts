// Passwords in plain text in the rows of our own formats.
import { performance } from 'node:perf_hooks'
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { errorsOf, ndjson, prepareImport, readJob, runImport } from '../../support/import.ts'
import { startLocalServer } from '../../support/local-issuer.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const url = await startLocalServer(service)

async function signIn(username: string, password: string): Promise<number> {
  const body = new URLSearchParams({ grant_type: 'password', username, password })
  return (await fetch(`${url}/local-issuer/oauth2/token`, { method: 'POST', body })).status
}
const hashOf = async (username: string) => {
  const [row] = await service.connections.db.query((queries) =>
    queries.unprepared<{ hash: string | null }>(
      'SELECT password_hash AS hash FROM users WHERE username = $1',
      [username],
    ),
  )
  return row?.hash
}

it('users sign in with the password of their row, in NDJSON and CSV, and with no other', async () => {
  const [line, cell, none] = [uniqueName(), uniqueName(), uniqueName()]
  await runImport(
    service,
    ndjson([
      { username: line, password: 'correct horse, battery' },
      { username: none, password: null },
    ]),
  )
  const csv = Buffer.from(`username;password\n${cell};"correct horse, battery"\n`)
  await runImport(service, csv, { format: 'csv' })
  for (const username of [line, cell]) {
    expect(await hashOf(username)).toMatch(/^\$argon2id\$/)
    expect(await signIn(username, 'correct horse, battery')).toBe(200)
    expect(await signIn(username, 'correct horse, batter')).toBe(400)
  }
  expect(await hashOf(none)).toBeNull()
})

it('a password that the API refuses refuses its row, and no report, row or log line holds a password', async () => {
  const secret = uniqueName('secret')
  const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
  const job = await runImport(
    service,
    ndjson([
      { username: uniqueName(), password: secret.slice(0, 7) },
      { username: uniqueName(), password: secret.repeat(10) },
      { username: uniqueName(), password: secret, password_hash: hash },
      { username: uniqueName(), password: [secret] },
      { username: 'not a name', password: secret },
    ]),
  )
  expect(job).toMatchObject({ state: 'done', created: 0, refused: 5 })
  const faults = await errorsOf(service, job.id)
  expect(faults.slice(0, 2).map(({ pointer }) => pointer)).toEqual(['/password', '/password'])
  const rows = await service.connections.db.query((queries) =>
    queries.unprepared('SELECT j::text, e::text AS fault FROM jobs j, job_errors e', []),
  )
  expect(JSON.stringify([faults, rows, service.log])).not.toContain(secret.slice(0, 7))
})

it('hashes are made off the event loop, and a sign-in waits for a few of them at most', async () => {
  const { username } = await service.makeUser({ password: 'a-good-password' })
  const users = Array.from({ length: 100 }, () => ({ username: uniqueName(), password: uniqueName() }))
  const { id } = await prepareImport(service, ndjson(users))
  await service.call<Job>('POST', `/import/${id}/start`)
  const before = performance.eventLoopUtilization()
  let isOver = false
  const running = runNextJob(service.connections, new AbortController().signal).finally(() => {
    isOver = true
  })
  expect(await signIn(username, 'a-good-password')).toBe(200)
  expect(isOver).toBe(false)
  await running
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5)
  expect(await readJob(service, id)).toMatchObject({ state: 'done', created: users.length })
})

it('a dry run makes no hash', async () => {
  const users = Array.from({ length: 2_000 }, () => ({ username: uniqueName(), password: uniqueName() }))
  const startedAt = performance.now()
  const job = await runImport(service, ndjson(users), { dry_run: true })
  expect(job).toMatchObject({ state: 'done', created: 2_000 })
  // The hashes alone would take a processor at least twice as long.
  expect(performance.now() - startedAt).toBeLessThan(15_000)
})
