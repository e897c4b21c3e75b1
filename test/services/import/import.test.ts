// Imports: what becomes of the rows of a file, and what is reported.
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import type { User } from '../../../src/model/user.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { errorsOf, ndjson, runImport } from '../../support/import.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser } = service
const find = async (username: string): Promise<User | undefined> =>
  (await call<{ items: User[] }>('GET', `/user?username=${encodeURIComponent(username)}`)).body.items[0]

it('creates users with all their fields', async () => {
  const username = uniqueName('Ada')
  const job = await runImport(
    service,
    ndjson([
      {
        username,
        name: 'Ada Lovelace',
        status: 'BLOCKED',
        external_id: `x|${username}`,
        attributes: { department: 'Engines', floor: 3 },
        contacts: [
          { contact_type: 'EMAIL', value: 'ada@example.com' },
          { contact_type: 'PHONE', value: '+44 20 7946 0958' },
        ],
        password_hash: '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy',
      },
    ]),
  )
  expect(job).toMatchObject({ state: 'done', rows_read: 1, created: 1, refused: 0 })
  expect(job.bytes_read).toBe(job.bytes_total)
  expect(await find(username)).toMatchObject({
    name: 'Ada Lovelace',
    status: 'BLOCKED',
    external_id: `x|${username}`,
    attributes: { department: 'Engines', floor: 3 },
    contacts: [
      { contact_type: 'EMAIL', value: 'ada@example.com' },
      { contact_type: 'PHONE', value: '+44 20 7946 0958' },
    ],
    version: 1,
  })
})

it('refuses single rows with the messages of the API, and imports the others', async () => {
  const [good, taken] = [uniqueName(), uniqueName()]
  await makeUser({ external_id: taken })
  const job = await runImport(
    service,
    ndjson([
      { username: '', status: 'GONE' },
      { username: good },
      { username: good.toUpperCase() },
      { username: uniqueName(), external_id: taken },
      { username: uniqueName(), unknown: 1 },
      { username: uniqueName(), '\0\ud800': 1 },
    ]),
  )
  expect(job).toMatchObject({ state: 'done', rows_read: 6, created: 1, refused: 5 })
  expect(await errorsOf(service, job.id)).toEqual([
    { line: 1, pointer: '/username', message: 'must be 1 to 128 characters' },
    { line: 1, pointer: '/status', message: 'must be one of ACTIVE, BLOCKED' },
    { line: 3, pointer: '/username', message: 'is in line 2 of the file too; keep one of the two' },
    { line: 4, pointer: '/external_id', message: 'is already taken' },
    { line: 5, pointer: '/unknown', message: 'is not a known field; remove it' },
    {
      line: 6,
      pointer: '/\ufffd\ufffd',
      message: 'must not contain the character NUL',
    },
    { line: 6, pointer: '/\ufffd\ufffd', message: 'is not a known field; remove it' },
  ])
})

it('keeps the times of any year, and each answer gives them as they are', async () => {
  // Go and .NET write the first for a missing time.
  for (const created_at of [
    '0001-01-01T00:00:00.000Z',
    '0099-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59.999Z',
  ]) {
    const username = uniqueName()
    await runImport(service, ndjson([{ username, created_at }]))
    const id = (await find(username))?.id
    const answers = [
      await find(username),
      (await call('GET', `/user/${id}`)).body,
      (await call('PATCH', `/user/${id}`, { json: { name: 'Ada' } })).body,
      (await call('GET', `/user/${id}`)).body,
    ]
    expect(answers.map((user) => user?.created_at)).toEqual(Array(4).fill(created_at))
  }
  const list = '/user?created_before=1000-01-01T00:00:00Z&limit=1'
  const first = await call<{ items: User[]; next_cursor: string }>('GET', list)
  const next = await call<{ items: User[] }>('GET', `${list}&cursor=${first.body.next_cursor}`)
  expect([first.body.items[0]?.created_at.slice(0, 4), next.body.items[0]?.created_at.slice(0, 4)]).toEqual([
    '0001',
    '0099',
  ])
})

it('takes the hashes of Auth0 from a second file', async () => {
  const name = uniqueName()
  const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
  const { body } = await call<Job>('POST', '/import', { json: { format: 'auth0' } })
  const put = (file: string, value: object) =>
    call('PUT', `/import/${body.id}/${file}`, { body: JSON.stringify(value) })
  const user = { user_id: `auth0|${name}`, email: `${name}@example.com` }
  expect((await put('file', user)).status).toBe(200)
  expect((await put('hashes', { _id: { $oid: name }, email: user.email, passwordHash: hash })).status).toBe(
    200,
  )
  await call('POST', `/import/${body.id}/start`)
  await runNextJob(service.connections, new AbortController().signal)
  expect(await errorsOf(service, body.id)).toEqual([])
  const [row] = await service.connections.db.query((queries) =>
    queries.unprepared('SELECT password_hash FROM users WHERE external_id = $1', [`auth0|${name}`]),
  )
  expect(row).toEqual({ password_hash: hash })
})
