// Jobs: orders of calls that a client should not make, leases, cancellation and the removal of files.
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Job, Page } from '../../../src/model/job.ts'
import { jobLanes } from '../../../src/model/job-states.ts'
import { cleanUpJobs } from '../../../src/services/jobs/clean-up.ts'
import { claimJob, endJob, LeaseLost, releaseJob, saveCheckpoint } from '../../../src/services/jobs/lease.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { runBulk } from '../../support/bulk.ts'
import { ndjson, prepareImport, readJob, runImport } from '../../support/import.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, connections } = service
const folder = join(service.avatarDirectory, '..', 'jobs')
const never = new AbortController().signal
const oneUser = () => ndjson([{ username: uniqueName() }])
const query = (text: string, values: unknown[] = []) =>
  connections.db.query((queries) => queries.unprepared<Record<string, unknown>>(text, values))

it('an import starts only with its file, and starting it again changes nothing', async () => {
  const { body } = await call<Job>('POST', '/import', { json: { format: 'ndjson' } })
  const start = () => call<Job>('POST', `/import/${body.id}/start`)
  expect(await start()).toMatchObject({ status: 409 })
  await call('PUT', `/import/${body.id}/file`, { body: oneUser() })
  const [first, second] = [await start(), await start()]
  expect(first).toMatchObject({ status: 200, body: { state: 'waiting' } })
  expect(second.body).toEqual(first.body)
  await call('DELETE', `/import/${body.id}`)
  expect(await start()).toMatchObject({ status: 409 })
})

it('a file is refused after the start and after a cancellation', async () => {
  const { id } = await prepareImport(service, oneUser())
  await call('POST', `/import/${id}/start`)
  expect(await call('PUT', `/import/${id}/file`, { body: oneUser() })).toMatchObject({ status: 409 })
  await call('DELETE', `/import/${id}`)
  expect(await call('PUT', `/import/${id}/file`, { body: oneUser() })).toMatchObject({ status: 409 })
  expect(await query('SELECT id FROM job_files WHERE job_id = $1', [id])).toHaveLength(1)
})

it('of two files sent at once one stays whole, and the other leaves nothing', async () => {
  const { body } = await call<Job>('POST', '/import', { json: { format: 'ndjson' } })
  const put = (count: number) =>
    call('PUT', `/import/${body.id}/file`, {
      body: ndjson(Array.from({ length: count }, () => ({ username: uniqueName() }))),
    })
  expect((await Promise.all([put(1), put(2)])).map(({ status }) => status)).toEqual([200, 200])
  const rows = await query('SELECT id FROM job_files WHERE job_id = $1', [body.id])
  expect(rows).toHaveLength(1)
  await call('POST', `/import/${body.id}/start`)
  await runNextJob(connections, never)
  const job = await readJob(service, body.id)
  expect(job.state).toBe('done')
  expect([1, 2]).toContain(job.created)
})

it('a job file is encrypted, and private to the owner of the server', async () => {
  const username = uniqueName('secret')
  const { id } = await prepareImport(service, ndjson([{ username }]))
  const [row] = await query('SELECT id FROM job_files WHERE job_id = $1', [id])
  const { readFile, stat } = await import('node:fs/promises')
  const path = join(folder, String(row?.id))
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await readFile(path)).includes(username)).toBe(false)
  await call('DELETE', `/import/${id}`)
})

it('parameters that may be secret are returned by no answer and stored in no row', async () => {
  const options = { signer_key: `key-${uniqueName()}` }
  const created = await call<Job>('POST', '/import', { json: { format: 'ndjson', options } })
  expect(created.text).not.toContain(options.signer_key)
  expect((await call('GET', `/import/${created.body.id}`)).text).not.toContain(options.signer_key)
  const rows = await query('SELECT j::text AS row FROM jobs j WHERE id = $1', [created.body.id])
  expect(String(rows[0]?.row)).not.toContain(options.signer_key)
})

it('a process that lost its lease commits nothing', async () => {
  const { id } = await prepareImport(service, oneUser())
  await call('POST', `/import/${id}/start`)
  const frozen = await claimJob(connections, jobLanes[0])
  if (frozen?.id !== id) throw new Error('the job was not claimed')
  expect(await claimJob(connections, jobLanes[0])).toBeUndefined()
  await query(`UPDATE jobs SET leased_until = now() WHERE id = $1`, [id])
  const other = await claimJob(connections, jobLanes[0])
  expect(other).toMatchObject({ id, attempts: 2 })
  const commit = connections.db.transaction(async (queries) => {
    await queries.unprepared(`INSERT INTO job_errors VALUES ($1, 1, 1, '', 'x')`, [id])
    await saveCheckpoint(queries, frozen, frozen)
  })
  await expect(commit).rejects.toThrow(LeaseLost)
  await endJob(connections, frozen, { state: 'failed', error: 'frozen' })
  expect(await query('SELECT number FROM job_errors WHERE job_id = $1', [id])).toEqual([])
  expect(await readJob(service, id)).toMatchObject({ state: 'running' })
  if (other) await releaseJob(connections, other, 0)
  await runNextJob(connections, never)
  expect(await readJob(service, id)).toMatchObject({ state: 'done', created: 1 })
})

it('a job whose process keeps ending without a word fails', async () => {
  const { id } = await prepareImport(service, oneUser())
  await call('POST', `/import/${id}/start`)
  for (let attempt = 1; attempt <= 5; attempt++) {
    expect(await claimJob(connections, jobLanes[0])).toMatchObject({ id })
    await query(`UPDATE jobs SET leased_until = now() WHERE id = $1`, [id])
  }
  expect(await claimJob(connections, jobLanes[0])).toBeUndefined()
  expect(await readJob(service, id)).toMatchObject({
    state: 'failed',
    error: expect.stringMatching(/5 times/),
  })
})

it('a cancelled job is not run, and can be cancelled again', async () => {
  const { id } = await prepareImport(service, oneUser())
  await call('POST', `/import/${id}/start`)
  for (let time = 1; time <= 2; time++)
    expect(await call<Job>('DELETE', `/import/${id}`)).toMatchObject({
      status: 200,
      body: { state: 'cancelled', created: 0 },
    })
  expect(await runNextJob(connections, never)).toBe(false)
})

it('files are removed a day after the end, and jobs after 90 days', async () => {
  const job = await runImport(service, oneUser())
  const [row] = await query('SELECT id FROM job_files WHERE job_id = $1', [job.id])
  await cleanUpJobs(connections)
  expect(await readdir(folder)).toContain(row?.id)
  await query(`UPDATE jobs SET ended_at = now() - interval '25 hours' WHERE id = $1`, [job.id])
  await cleanUpJobs(connections)
  expect(await readdir(folder)).not.toContain(row?.id)
  expect(await readJob(service, job.id)).toMatchObject({ state: 'done', bytes_total: null })
  await query(`UPDATE jobs SET ended_at = now() - interval '91 days' WHERE id = $1`, [job.id])
  await cleanUpJobs(connections)
  expect(await call('GET', `/import/${job.id}`)).toMatchObject({ status: 404 })
})

it('a file whose upload ends early leaves nothing', async () => {
  const { body } = await call<Job>('POST', '/import', { json: { format: 'ndjson' } })
  const { connect } = await import('node:net')
  const { hostname, port } = new URL(service.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(
    `PUT /import/${body.id}/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${service.tokens.admin}\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(70_000)}`,
  )
  const files = () => query('SELECT id FROM job_files WHERE job_id = $1', [body.id])
  const { until } = await import('../../support/wait.ts')
  await until('the upload', async () => (await files()).length === 1)
  const [row] = await files()
  socket.destroy()
  await until('the removal', async () => (await files()).length === 0)
  expect(await readdir(folder)).not.toContain(row?.id)
})

it('jobs are listed from the newest, page by page', async () => {
  const ids: string[] = []
  for (let at = 0; at < 3; at++)
    ids.push((await call<Job>('POST', '/import', { json: { format: 'csv' } })).body.id)
  const first = await call<Page<Job>>('GET', '/import?limit=2')
  expect(first.body.items.map(({ id }) => id)).toEqual([ids[2], ids[1]])
  const second = await call<Page<Job>>('GET', `/import?limit=1&cursor=${first.body.next_cursor}`)
  expect(second.body.items.map(({ id }) => id)).toEqual([ids[0]])
  expect(await call('GET', '/import?cursor=x')).toMatchObject({ status: 400 })
  expect(await call('GET', `/import/${randomUUID()}/errors`)).toMatchObject({ status: 404 })
})

it('a bulk change does not wait for an import that is running', async () => {
  const { id } = await prepareImport(service, oneUser())
  await call('POST', `/import/${id}/start`)
  const running = await claimJob(connections, jobLanes[0])
  expect(running).toMatchObject({ id })
  const user = await service.makeUser()
  expect(await runBulk(service, { action: 'block', ids: [user.id] })).toMatchObject({
    state: 'done',
    updated: 1,
  })
  if (running) await endJob(connections, running, { state: 'failed' })
})
