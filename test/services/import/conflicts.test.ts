// Imports that meet users whom the directory has: skip, update, fail, dry run, undo, and live writes at the same time.
import { expect, it } from 'vitest'
import type { Job } from '../../../src/model/job.ts'
import type { User } from '../../../src/model/user.ts'
import { checkPassword } from '../../../src/services/identity/check-password.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { errorsOf, ndjson, prepareImport, readJob, runImport } from '../../support/import.ts'
import { startService, uniqueName } from '../../support/service.ts'

const service = await startService()
const { call, connections, makeUser } = service
const read = async (id: string): Promise<User> => (await call('GET', `/user/${id}`)).body
const never = new AbortController().signal

it('skip leaves a user alone, and fail reports the row', async () => {
  const user = await makeUser({ name: 'Before' })
  const file = ndjson([{ username: user.username.toUpperCase(), name: 'After' }])
  expect(await runImport(service, file)).toMatchObject({ created: 0, skipped: 1, refused: 0 })
  const failed = await runImport(service, file, { on_conflict: 'fail' })
  expect(failed).toMatchObject({ created: 0, skipped: 0, refused: 1 })
  expect(await errorsOf(service, failed.id)).toEqual([
    { line: 1, pointer: '/username', message: 'is already taken' },
  ])
  expect(await read(user.id)).toEqual(user)
})

it('update changes the fields that the row gives, and no cached answer is older', async () => {
  const user = await makeUser({
    name: 'Before',
    contacts: [{ contact_type: 'PHONE', value: '1' }],
    attributes: { floor: 1 },
  })
  expect(await read(user.id)).toEqual(user)
  const file = ndjson([
    {
      username: user.username,
      name: 'After',
      contacts: [{ contact_type: 'WORK', value: '2' }, ...user.contacts],
    },
  ])
  expect(await runImport(service, file, { on_conflict: 'update' })).toMatchObject({
    updated: 1,
    unchanged: 0,
  })
  const after = await read(user.id)
  expect(after).toMatchObject({ name: 'After', version: 2, attributes: { floor: 1 } })
  expect(after.contacts[1]).toEqual(user.contacts[0])
  expect(
    await checkPassword(connections, { username: user.username, password: 'a-good-password' }),
  ).toMatchObject({
    id: user.id,
  })
  expect(await runImport(service, file, { on_conflict: 'update' })).toMatchObject({
    updated: 0,
    unchanged: 1,
  })
  expect(await read(user.id)).toEqual(after)
})

it('a match by external id may rename a user, whose sessions end with a block', async () => {
  const user = await makeUser({ external_id: uniqueName('x') })
  const other = await makeUser()
  const username = uniqueName()
  const job = await runImport(
    service,
    ndjson([
      { username, external_id: user.external_id, status: 'BLOCKED' },
      { username: other.username, external_id: uniqueName('x') },
      { username: uniqueName() },
    ]),
    { on_conflict: 'update', match: 'external_id' },
  )
  expect(job).toMatchObject({ updated: 1, refused: 2 })
  expect(await errorsOf(service, job.id)).toEqual([
    { line: 2, pointer: '/username', message: 'is already taken' },
    { line: 3, pointer: '/external_id', message: 'is required to match by it' },
  ])
  expect(await read(user.id)).toMatchObject({ username, status: 'BLOCKED', version: 2 })
  const released = await connections.db.query((queries) =>
    queries.unprepared('SELECT 1 FROM released_usernames', []),
  )
  expect(released.length).toBeGreaterThan(0)
})

it('a dry run reports what the run does, and changes no user', async () => {
  const [present, changed] = [await makeUser(), await makeUser()]
  const file = ndjson([
    { username: uniqueName(), password: 'a-good-password' },
    { username: present.username },
    { username: changed.username, name: 'After' },
    { username: changed.username },
    { username: '' },
  ])
  const tuples = async () =>
    connections.db.query((queries) =>
      queries.unprepared(
        `SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables
         WHERE relname NOT LIKE 'job%' ORDER BY relname`,
        [],
      ),
    )
  const flushed = async () => {
    await connections.db.query((queries) => queries.unprepared('SELECT pg_stat_force_next_flush()', []))
    return tuples()
  }
  const before = await flushed()
  const choices = { on_conflict: 'update' }
  const dry = await runImport(service, file, { ...choices, dry_run: true })
  expect(await flushed()).toEqual(before)
  const real = await runImport(service, file, choices)
  const report = ({ rows_read, created, updated, unchanged, skipped, refused }: Job) => ({
    rows_read,
    created,
    updated,
    unchanged,
    skipped,
    refused,
  })
  expect(report(dry)).toEqual(report(real))
  expect(report(real)).toMatchObject({ created: 1, updated: 1, unchanged: 1, refused: 2 })
  expect(await errorsOf(service, dry.id)).toEqual(await errorsOf(service, real.id))
})

it('an undo erases what the import created, except users that were changed since', async () => {
  const [kept, gone] = [uniqueName('kept'), uniqueName('gone')]
  const job = await runImport(service, ndjson([{ username: kept }, { username: gone }]))
  const idOf = async (username: string) =>
    (await call<{ items: User[] }>('GET', `/user?username=${username}`)).body.items[0]?.id ?? ''
  const [keptId, goneId] = [await idOf(kept), await idOf(gone)]
  expect((await call('GET', `/user/${goneId}`)).status).toBe(200)
  await call('PATCH', `/user/${keptId}`, { json: { name: 'Changed' } })

  const undo = await call<Job>('POST', `/import/${job.id}/undo`)
  expect(undo).toMatchObject({ status: 201, body: { kind: 'undo', undoes: job.id } })
  expect(await call('POST', `/import/${job.id}/undo`)).toMatchObject({ status: 409 })
  await runNextJob(connections, never)
  expect(await readJob(service, undo.body.id)).toMatchObject({ state: 'done', erased: 1, refused: 1 })
  expect((await errorsOf(service, undo.body.id))[0]?.message).toContain(keptId)
  expect((await call('GET', `/user/${goneId}`)).status).toBe(404)
  expect((await call('GET', `/user/${keptId}`)).status).toBe(200)
  expect(await readJob(service, job.id)).toMatchObject({ undone_by: undo.body.id })
})

it('a name whose absence was cached is found right after its import', async () => {
  const username = uniqueName()
  const token = await service.issuer.token({ username })
  expect((await call('GET', '/user', { token })).status).toBe(403)
  await runImport(service, ndjson([{ username, status: 'BLOCKED' }]))
  // Known names are kept for half a second (services/identity/callers.ts).
  const { until } = await import('../../support/wait.ts')
  await until('the block', async () => (await call('GET', '/user', { token })).status === 401, 1_500)
})

it('keys that live writes take during an import are conflicts, and no write is lost', async () => {
  const names = Array.from({ length: 2_500 }, (_, at) => `${uniqueName('race')}.${at}`)
  const { id } = await prepareImport(
    service,
    ndjson(names.map((username) => ({ username, name: 'imported' }))),
  )
  await call('POST', `/import/${id}/start`)
  const live: User[] = []
  const done = runNextJob(connections, never)
  const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
  await Promise.all(
    [0, 1, 2, 3].map(async (lane) => {
      for (let at = lane; at < names.length; at += 67) {
        const answer = await call('POST', '/user', {
          json: { username: names[at], name: 'live', password_hash: hash },
        })
        if (answer.status === 201) live.push(answer.body)
        else expect(answer.status).toBe(409)
      }
    }),
  )
  await done
  const job = await readJob(service, id)
  expect(job).toMatchObject({ state: 'done', rows_read: names.length, refused: 0 })
  expect(job.created + job.skipped).toBe(names.length)
  expect(job.skipped).toBe(live.length)
  for (const user of live) expect(await read(user.id)).toEqual(user)
  const [count] = await connections.db.query((queries) =>
    queries.unprepared<{ count: number }>('SELECT count(*)::int FROM users WHERE username_folded = ANY($1)', [
      names,
    ]),
  )
  expect(count?.count).toBe(names.length)
})
