// Exports: the users that a filter matches, as a file that the import reads back exactly.
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { errorsOf, runImport } from '../../support/import.ts'
import { type Service, startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser } = service

async function runExport(from: Service, body: object): Promise<{ job: Job; file: Buffer; headers: Headers }> {
  const { body: created } = await from.call<Job>('POST', '/export', { json: body })
  await runNextJob(from.connections, new AbortController().signal)
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
  await runNextJob(service.connections, new AbortController().signal)
  expect(await call('GET', `/export/${body.id}/file`)).toMatchObject({ status: 200 })
})
