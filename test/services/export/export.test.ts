// Exports: the users that a filter matches, as a file that the import reads back exactly.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { v7 as uuidv7 } from 'uuid'
import { expect, it } from 'vitest'
import type { Job, Page } from '../../../src/model/job.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { errorsOf, runImport } from '../../support/import.ts'
import { type Service, startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser } = service
const never = new AbortController().signal

async function runExport(from: Service, body: object): Promise<{ job: Job; file: Buffer; headers: Headers }> {
  const { body: created } = await from.call<Job>('POST', '/export', { json: body })
  await runNextJob(from.connections, never)
  const { body: job } = await from.call<Job>('GET', `/export/${created.id}`)
  const answer = await fetch(`${from.url}/export/${created.id}/file`, {
    headers: { authorization: `Bearer ${from.tokens.admin}` },
  })
  return { job, file: Buffer.from(await answer.arrayBuffer()), headers: answer.headers }
}

it.each(['ndjson', 'csv'])('%s survives export, import and export byte for byte', async (format) => {
  const user = await makeUser({
    username: uniqueName("O'Brien#"),
    name: '=1+1, "quoted"\nand 高橋',
    external_id: uniqueName('x|'),
    attributes: { department: 'Engines', floor: 3, remote: true, note: '-5' },
    contacts: [
      { contact_type: 'EMAIL', value: 'ada@example.com' },
      { contact_type: 'PHONE', value: '+44 20 7946 0958' },
    ],
  })
  await call('PATCH', `/user/${user.id}`, { json: { status: 'BLOCKED' } })
  await makeUser({ name: null })
  const other = await startService()
  const request = { format, include_hashes: true }
  const first = await runExport(service, request)
  expect(first.job).toMatchObject({ state: 'done', bytes_total: first.file.length })
  const job = await runImport(other, first.file as Buffer<ArrayBuffer>, { format })
  expect(await errorsOf(other, job.id)).toEqual([])
  expect(job).toMatchObject({ state: 'done', created: first.job.rows_read, refused: 0 })
  const second = await runExport(other, request)
  expect(second.file.toString()).toBe(first.file.toString())
})

it('holds hashes only on request, is never cached, and is filtered like the list', async () => {
  const user = await makeUser({ attributes: { team: uniqueName('t') } })
  const filters = { 'attribute.team': user.attributes.team }
  const { file, headers, job } = await runExport(service, { format: 'ndjson', filters })
  expect(job.rows_read).toBe(1)
  const { avatar_url: _, ...exported } = user
  expect(JSON.parse(file.toString())).toEqual(exported)
  expect(file.toString()).not.toContain('$argon2')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('content-length')).toBe(String(file.length))
  expect(headers.get('content-disposition')).toBe('attachment; filename="users.ndjson"')
})

it('holds the users of up to a thousand ids, once each, and leaves out ids without a user', async () => {
  const users = await Promise.all(Array.from({ length: 3 }, () => makeUser()))
  const known = users.map(({ id }) => id)
  // More than the list's parameter takes.
  const absent = Array.from({ length: 996 }, () => uuidv7())
  const ids = [...known, ...known.slice(0, 1), ...absent]
  const { file, job } = await runExport(service, { format: 'ndjson', ids })
  expect(job).toMatchObject({ state: 'done', rows_read: 3, rows_total: 999 })
  expect(job).not.toHaveProperty('ids')
  const exported = file.toString().trim().split('\n')
  expect(exported.map((line) => JSON.parse(line).id)).toEqual(known.sort())
})

it.each([
  [{ ids: [] }, '/ids', 'must contain at least one id'],
  [{ ids: ['x'] }, '/ids/0', 'must be a UUID'],
  [{ ids: Array(1_001).fill(uuidv7()) }, '/ids', 'must contain at most 1000 items'],
  [{ ids: [uuidv7()], filters: {} }, '/ids', 'must not be sent with filters'],
])(
  'refuses ids that are none, malformed, too many, or beside filters',
  async (selection, pointer, message) => {
    const answer = await call<{ errors: object[] }>('POST', '/export', {
      json: { format: 'csv', ...selection },
    })
    expect(answer.status).toBe(400)
    expect(answer.body.errors).toEqual([{ pointer, message }])
  },
)

it('exports are listed from the newest, apart from imports', async () => {
  const one = await call<Job>('POST', '/export', { json: { format: 'csv' } })
  await call('POST', '/import', { json: { format: 'csv' } })
  const other = await call<Job>('POST', '/export', { json: { format: 'ndjson' } })
  const first = await call<Page<Job>>('GET', '/export?limit=1')
  expect(first.body.items).toEqual([other.body])
  const second = await call<Page<Job>>('GET', `/export?limit=1&cursor=${first.body.next_cursor}`)
  expect(second.body.items).toEqual([one.body])
  for (const { body } of [one, other]) await call('DELETE', `/export/${body.id}`)
})

const filesOf = (id: string) =>
  service.connections.db.query((queries) =>
    queries.unprepared('SELECT id FROM job_files WHERE job_id = $1', [id]),
  )
const cancel = (id: string) => call<Job>('DELETE', `/export/${id}`)

it('a cancelled export is not run, has no file, and can be cancelled again', async () => {
  const { body } = await call<Job>('POST', '/export', { json: { format: 'csv' } })
  for (let time = 1; time <= 2; time++)
    expect(await cancel(body.id)).toMatchObject({ status: 200, body: { state: 'cancelled' } })
  expect(await runNextJob(service.connections, never)).toBe(false)
  expect(await call('GET', `/export/${body.id}/file`)).toMatchObject({ status: 409 })
})

it('an export cancelled while its file is written leaves nothing of it', async () => {
  const other = await startService()
  const { connections } = other
  const write = connections.jobFiles.write
  const stored: string[] = []
  // The store finishes the file only after the cancellation.
  const slow: typeof connections = {
    ...connections,
    jobFiles: {
      ...connections.jobFiles,
      write: async (id, bytes) => {
        await write(id, bytes)
        stored.push(id)
        await other.call('DELETE', `/export/${body.id}`)
      },
    },
  }
  const { body } = await other.call<Job>('POST', '/export', { json: { format: 'csv' } })
  await runNextJob(slow, never)
  expect(stored).toHaveLength(1)
  expect((await other.call<Job>('GET', `/export/${body.id}`)).body.state).toBe('cancelled')
  const files = join(other.avatarDirectory, '..', 'jobs')
  expect(await readdir(files)).toEqual([])
})

it('the complete file of an export goes if it is cancelled before it counts as done', async () => {
  const { job } = await runExport(service, { format: 'csv' })
  expect(await filesOf(job.id)).toHaveLength(1)
  expect((await cancel(job.id)).body).toMatchObject({ state: 'done', bytes_total: job.bytes_total })
  expect(await filesOf(job.id)).toHaveLength(1)
  await service.connections.db.query((queries) =>
    queries.unprepared(`UPDATE jobs SET state = 'running', ended_at = NULL WHERE id = $1`, [job.id]),
  )
  expect((await cancel(job.id)).body).toMatchObject({ state: 'cancelled', bytes_total: null })
  expect(await filesOf(job.id)).toEqual([])
})

it('an export that is interrupted again and again fails, and says how to export in parts', async () => {
  const { body } = await call<Job>('POST', '/export', { json: { format: 'csv' } })
  for (let time = 1; time <= 5; time++)
    expect(await runNextJob(service.connections, AbortSignal.abort())).toBe(true)
  expect((await call<Job>('GET', `/export/${body.id}`)).body.state).toBe('running')
  expect(await runNextJob(service.connections, never)).toBe(false)
  expect((await call<Job>('GET', `/export/${body.id}`)).body).toMatchObject({
    state: 'failed',
    error: expect.stringContaining('in parts'),
  })
  expect(await filesOf(body.id)).toEqual([])
})

it('refuses filters that the list does not know, and a file before its end', async () => {
  const answer = await call<{ errors: object[] }>('POST', '/export', {
    json: { format: 'csv', filters: { sort: 'name', unknown: 'x', status: 'GONE' } },
  })
  expect(answer.status).toBe(400)
  expect(answer.body.errors).toEqual([
    { pointer: '/filters/sort', message: 'is not a filter; remove it' },
    { pointer: '/filters/status', message: 'must be one of ACTIVE, BLOCKED' },
    { pointer: '/filters/unknown', message: 'is not a known field; remove it' },
  ])
  const { body } = await call<Job>('POST', '/export', { json: { format: 'csv' } })
  expect(await call('GET', `/export/${body.id}/file`)).toMatchObject({ status: 409 })
  await runNextJob(service.connections, never)
  expect(await call('GET', `/export/${body.id}/file`)).toMatchObject({ status: 200 })
})
