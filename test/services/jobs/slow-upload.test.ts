// A file of an import that arrives too slowly.
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { atEnd } from '../../support/cleanup.ts'
import { ndjson, readJob } from '../../support/import.ts'
import { sendLate } from '../../support/raw.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const { call, connections } = service

it('a body of a kilobyte a second is ended, the import waits on, and the whole file can be sent again', async () => {
  const { body: job } = await call<Job>('POST', '/import', { json: { format: 'ndjson' } })
  const { hostname, port } = new URL(service.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
  const closed = new Promise((done) => socket.once('close', done))
  const head = `PUT /import/${job.id}/file HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${service.tokens.admin}`
  socket.write(`${head}\r\nContent-Length: 1000000\r\n\r\n`)
  const drip = setInterval(() => socket.write('x'.repeat(1_024)), 1_000)
  atEnd(async () => clearInterval(drip))
  await closed
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  expect(answer).toContain('Send at least 32 KB a second')

  expect(await readJob(service, job.id)).toMatchObject({ state: 'waiting', bytes_total: null })
  const files = await connections.db.query((queries) =>
    queries.unprepared('SELECT id FROM job_files WHERE job_id = $1', [job.id]),
  )
  expect(files).toEqual([])
  expect(await call('POST', `/import/${job.id}/start`)).toMatchObject({ status: 409 })
  const again = await call('PUT', `/import/${job.id}/file`, { body: ndjson([{ username: uniqueName() }]) })
  expect(again.status).toBe(200)
  await call('POST', `/import/${job.id}/start`)
  await runNextJob(connections, new AbortController().signal)
  expect(await readJob(service, job.id)).toMatchObject({ state: 'done', created: 1 })
}, 60_000)

it('a file that is complete only after the start is refused, and the first one is imported', async () => {
  const { body: job } = await call<Job>('POST', '/import', { json: { format: 'ndjson' } })
  const path = `/import/${job.id}/file`
  const [early, late] = [uniqueName(), uniqueName()]
  const headers = { authorization: `Bearer ${service.tokens.admin}` }
  const body = ndjson([{ username: late }])
  const upload = await sendLate(service.url, { method: 'PUT', path, headers, body })
  const files = () =>
    connections.db.query((queries) =>
      queries.unprepared('SELECT id FROM job_files WHERE job_id = $1', [job.id]),
    )
  await until('the late file', async () => (await files()).length === 1)
  expect(await call('PUT', path, { body: ndjson([{ username: early }]) })).toMatchObject({ status: 200 })
  await call('POST', `/import/${job.id}/start`)
  expect(await upload.finish()).toMatchObject({ status: 409 })
  expect(await files()).toHaveLength(1)
  await runNextJob(connections, new AbortController().signal)
  expect(await readJob(service, job.id)).toMatchObject({ state: 'done', created: 1 })
  const { body: found } = await call<{ items: { username: string }[] }>('GET', `/user?username=${early}`)
  expect(found.items).toHaveLength(1)
})
