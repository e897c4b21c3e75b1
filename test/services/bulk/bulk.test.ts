// Bulk changes: which users are changed, how, and how that is undone.
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import type { User } from '../../../src/model/user.ts'
import { cleanUpJobs } from '../../../src/services/jobs/clean-up.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { bulkErrors, createBulk, runBulk, undoBulk } from '../../support/bulk.ts'
import { png } from '../../support/picture.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, makeUser, issuer } = service
const read = async ({ id }: User) => (await call<User>('GET', `/user/${id}`)).body

/** Users whom the list finds by their name. */
async function makeUsers(count: number, fields: object = {}): Promise<{ users: User[]; search: string }> {
  const search = uniqueName('many')
  const users: User[] = []
  for (let at = 0; at < count; at++) users.push(await makeUser({ name: search, ...fields }))
  return { users, search }
}

it('blocks all users that match and no other, and the undo activates those that it blocked', async () => {
  const { users, search } = await makeUsers(3)
  const other = await makeUser()
  const [, blockedBefore] = users
  await call('PATCH', `/user/${blockedBefore?.id}`, { json: { status: 'BLOCKED' } })
  const job = await runBulk(service, { action: 'block', filters: { search } })
  expect(job).toMatchObject({
    kind: 'bulk',
    state: 'done',
    action: 'block',
    rows_total: 3,
    rows_read: 3,
    updated: 2,
    unchanged: 1,
    refused: 0,
  })
  for (const user of users) expect(await read(user)).toMatchObject({ status: 'BLOCKED', version: 2 })
  expect(await read(other)).toEqual(other)

  const undo = await undoBulk(service, job.id)
  expect(undo).toMatchObject({ kind: 'bulk_undo', state: 'done', undoes: job.id, rows_total: 2, updated: 2 })
  const statuses = await Promise.all(users.map(async (user) => (await read(user)).status))
  expect(statuses).toEqual(['ACTIVE', 'BLOCKED', 'ACTIVE'])
  expect(await call('POST', `/bulk/${job.id}/undo`)).toMatchObject({ status: 409 })
})

it('a user that the change moves out of the filter is changed once, and none is missed', async () => {
  const { users, search } = await makeUsers(2)
  const filters = { search, status: 'ACTIVE' }
  expect(await runBulk(service, { action: 'block', filters })).toMatchObject({ rows_total: 2, updated: 2 })
  expect(await runBulk(service, { action: 'block', filters })).toMatchObject({ rows_total: 0, updated: 0 })
  for (const user of users) expect(await read(user)).toMatchObject({ status: 'BLOCKED', version: 2 })
})

it('sets and removes attributes, keeps the others, and the undo restores the former values', async () => {
  const { users, search } = await makeUsers(2, { attributes: { plan: 'free', floor: 3 } })
  const attributes = { plan: 'paid', floor: null, vip: true }
  const job = await runBulk(service, { action: 'set_attributes', attributes, filters: { search } })
  expect(job).toMatchObject({ state: 'done', updated: 2, attributes })
  for (const user of users) expect((await read(user)).attributes).toEqual({ plan: 'paid', vip: true })
  await undoBulk(service, job.id)
  for (const user of users) expect((await read(user)).attributes).toEqual({ plan: 'free', floor: 3 })
})

it('attributes that would be too many are left, with the reason', async () => {
  const full = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`key_${at}`, at]))
  const user = await makeUser({ attributes: full })
  const job = await runBulk(service, { action: 'set_attributes', attributes: { more: 1 }, ids: [user.id] })
  expect(job).toMatchObject({ state: 'done', updated: 0, refused: 1 })
  expect(await bulkErrors(service, job.id)).toEqual([
    {
      line: 1,
      pointer: '',
      message: `user ${user.id} is kept, because its attributes must have at most 50 keys`,
    },
  ])
})

it('erases users with their contacts and avatars', async () => {
  const { users, search } = await makeUsers(2, { contacts: [{ contact_type: 'WORK', value: 'desk' }] })
  const [first] = users
  const upload = await call<{ file_path: string }>('POST', `/upload/${first?.id}`, {
    body: await png(),
    headers: { 'content-type': 'image/png' },
  })
  const { file_path } = upload.body
  expect(await service.connections.avatars.read(file_path)).toBeDefined()
  const job = await runBulk(service, { action: 'erase', filters: { search }, expected_total: 2 })
  expect(job).toMatchObject({ state: 'done', erased: 2 })
  for (const { id } of users) expect((await call('GET', `/user/${id}`)).status).toBe(404)
  expect(await service.connections.avatars.read(file_path)).toBeUndefined()
  expect(await call('POST', `/bulk/${job.id}/undo`)).toMatchObject({ status: 409 })
  const [rows] = await service.connections.db.query((queries) =>
    queries.unprepared<{ contacts: number }>(
      'SELECT count(*)::int AS contacts FROM contacts WHERE user_id = ANY($1)',
      [users.map(({ id }) => id)],
    ),
  )
  expect(rows?.contacts).toBe(0)
})

it('the undo keeps users that were changed since, and lists them', async () => {
  const { users, search } = await makeUsers(2)
  const job = await runBulk(service, { action: 'block', filters: { search } })
  const [changed, left] = users as [User, User]
  await call('PATCH', `/user/${changed.id}`, { json: { name: 'Later' } })
  const undo = await undoBulk(service, job.id)
  expect(undo).toMatchObject({ updated: 1, refused: 1 })
  expect(await read(changed)).toMatchObject({ status: 'BLOCKED', name: 'Later' })
  expect(await read(left)).toMatchObject({ status: 'ACTIVE' })
  expect((await bulkErrors(service, undo.id)).map(({ message }) => message)).toEqual([
    `user ${changed.id} is kept, because it was changed (version 3)`,
  ])
})

it.each(['block', 'erase'])('the account that created the job is kept by its own %s', async (action) => {
  const { users, search } = await makeUsers(2)
  const [me, other] = users as [User, User]
  const token = await issuer.token({ username: me.username.toUpperCase(), 'cognito:groups': ['admins'] })
  const job = await runBulk(service, { action, filters: { search }, expected_total: 2 }, { token })
  expect(job).toMatchObject({ state: 'done', rows_read: 2, refused: 1 })
  expect(await read(me)).toEqual(me)
  expect((await call('GET', `/user/${other.id}`)).body).not.toEqual(other)
  expect((await bulkErrors(service, job.id)).map(({ message }) => message)).toEqual([
    `user ${me.id} is kept, because it is the account that created the job`,
  ])
})

it.each([
  ['blocked', (id: string) => call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })],
  ['renamed', (id: string) => call('PATCH', `/user/${id}`, { json: { username: uniqueName() } })],
  ['erased', (id: string) => call('DELETE', `/user/${id}`)],
] as const)('a job changes nothing more once its creator is %s', async (_end, end) => {
  const { users, search } = await makeUsers(1)
  const me = await makeUser()
  const token = await issuer.token({ username: me.username, 'cognito:groups': ['admins'] })
  const { id } = await createBulk(
    service,
    { action: 'erase', filters: { search }, expected_total: 1 },
    { token },
  )
  expect((await end(me.id)).status).toBeLessThan(300)
  await runNextJob(service.connections, new AbortController().signal)
  expect((await call('GET', `/bulk/${id}`)).body).toMatchObject({
    state: 'failed',
    error: 'The account that created the job was blocked, renamed or erased.',
    erased: 0,
  })
  expect(await read(users[0] as User)).toEqual(users[0])
})

it('undoing an unblock does not block the account that asks for it', async () => {
  const me = await makeUser({ status: 'BLOCKED' })
  const job = await runBulk(service, { action: 'unblock', ids: [me.id] })
  const token = await issuer.token({ username: me.username, 'cognito:groups': ['admins'] })
  expect(await undoBulk(service, job.id, { token })).toMatchObject({ updated: 0, refused: 1 })
  expect((await read(me)).status).toBe('ACTIVE')
})

it('nothing is changed if far more users match than were expected', async () => {
  const { users, search } = await makeUsers(12)
  const erase = (expected_total: number) =>
    runBulk(service, { action: 'erase', filters: { search }, expected_total })
  const job = await erase(1)
  expect(job).toMatchObject({ state: 'failed', error: expect.stringMatching(/^12 users match, but 1 were/) })
  for (const user of users) expect(await read(user)).toEqual(user)
  expect(await erase(2)).toMatchObject({ state: 'done', erased: 12 })
})

it('ids that no user has are skipped, and repeated ones are one user', async () => {
  const { users } = await makeUsers(1)
  const id = users[0]?.id ?? ''
  const ids = [id, id.toUpperCase(), '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77']
  const job = await runBulk(service, { action: 'block', ids })
  expect(job).toMatchObject({ state: 'done', rows_total: 2, updated: 1, skipped: 1 })
})

it.each([
  [{ action: 'block' }, '/filters'],
  [{ action: 'block', filters: {}, ids: [] }, '/ids'],
  [{ action: 'block', ids: ['x'] }, '/ids/0'],
  [{ action: 'burn', filters: {} }, '/action'],
  [{ action: 'block', filters: { sort: 'name' } }, '/filters/sort'],
  [{ action: 'block', filters: { status: 'GONE' } }, '/filters/status'],
  [{ action: 'block', filters: {}, attributes: { plan: 'x' } }, '/attributes'],
  [{ action: 'set_attributes', filters: {} }, '/attributes'],
  [{ action: 'set_attributes', filters: {}, attributes: { Plan: 'x' } }, '/attributes/Plan'],
  [{ action: 'erase', filters: {} }, '/expected_total'],
  [{ action: 'erase', filters: {}, expected_total: -1 }, '/expected_total'],
])('%j is refused at %s', async (json, pointer) => {
  const answer = await call<{ errors: { pointer: string }[] }>('POST', '/bulk', { json })
  expect(answer.status).toBe(400)
  expect(answer.body.errors.map((fault) => fault.pointer)).toContain(pointer)
})

it('takes every filter of the list, and tests it again before the change', async () => {
  const external_id = uniqueName('external')
  const contacts = [{ contact_type: 'WHATSAPP', value: '+44 20 7946 0958' }]
  const { users, search } = await makeUsers(1, { external_id, contacts, attributes: { floor: 3 } })
  const [user] = users as [User]
  const [before, after] = [-60_000, 60_000].map((ms) => new Date(Date.now() + ms).toISOString())
  let version = 1
  for (const filter of [
    { search: '7946 0958' },
    { status: 'ACTIVE' },
    { username: user.username.toUpperCase() },
    { contact_type: 'WHATSAPP' },
    { contact: contacts[0]?.value },
    { contact: contacts[0]?.value, contact_type: 'WHATSAPP' },
    { external_id },
    { 'attribute.floor': '3' },
    { ids: user.id },
    { created_after: before, created_before: after },
    { updated_after: before, updated_before: after },
  ]) {
    const filters = { search, ...filter }
    const attributes = { seen: version }
    const job = await runBulk(service, { action: 'set_attributes', attributes, filters })
    expect(job, JSON.stringify(filter)).toMatchObject({ state: 'done', skipped: 0 })
    expect(job.updated).toBe(filter.search ? job.rows_total : 1)
    version++
  }
  expect(await read(user)).toMatchObject({ version, attributes: { floor: 3, seen: version - 1 } })
})

it('a cancelled bulk change is not run, and its undo has nothing to restore', async () => {
  const { users, search } = await makeUsers(1)
  const { id } = await createBulk(service, { action: 'block', filters: { search } })
  expect(await call('POST', `/bulk/${id}/undo`)).toMatchObject({ status: 409 })
  expect((await call<Job>('DELETE', `/bulk/${id}`)).body).toMatchObject({ state: 'cancelled', updated: 0 })
  expect(await undoBulk(service, id)).toMatchObject({ state: 'done', updated: 0 })
  expect(await read(users[0] as User)).toEqual(users[0])
})

it('a bulk change is listed under its own path, and not among imports', async () => {
  const job = await createBulk(service, { action: 'block', ids: ['0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'] })
  const ids = async (path: string) =>
    (await call<{ items: Job[] }>('GET', path)).body.items.map(({ id }) => id)
  expect(await ids('/bulk?limit=1')).toEqual([job.id])
  expect(await ids('/import')).not.toContain(job.id)
  expect((await call('GET', `/import/${job.id}`)).status).toBe(404)
  await call('DELETE', `/bulk/${job.id}`)
})

it('the former values are removed after a week, and the change can then not be undone', async () => {
  const { search } = await makeUsers(1, { attributes: { plan: 'free' } })
  const job = await runBulk(service, {
    action: 'set_attributes',
    attributes: { plan: 'paid' },
    filters: { search },
  })
  const query = (text: string) =>
    service.connections.db.query((queries) => queries.unprepared<{ restores: unknown }>(text, [job.id]))
  const chunks = () => query('SELECT restores FROM job_chunks WHERE job_id = $1')
  await cleanUpJobs(service.connections)
  expect(await chunks()).toEqual([{ restores: [{ attributes: { plan: 'free' } }] }])
  await query(`UPDATE jobs SET ended_at = now() - interval '8 days' WHERE id = $1`)
  await cleanUpJobs(service.connections)
  expect(await chunks()).toEqual([])
  expect(await call('POST', `/bulk/${job.id}/undo`)).toMatchObject({ status: 409 })
})
