// The promise of the cache holds for imports and their undoing: with Redis, on every server.
import { expect, inject, it } from 'vitest'
import { usernameKey } from '../../../src/connection/cache/cache.ts'
import type { Job } from '../../../src/model/job.ts'
import type { User } from '../../../src/model/user.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { ndjson, runImport } from '../../support/import.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const env = { REDIS_URL: inject('redisUrl') }
const service = await startService({ env })
const other = await startService({ env, beside: service })

const readOn = async (id: string): Promise<User> => (await other.call('GET', `/user/${id}`)).body
/** Reads until the answer is cached, because a server on a busy machine may not trust the cache for a moment. */
const fillCache = (id: string) =>
  until('the entry', async () => {
    await readOn(id)
    return isCached(id)
  })
const isCached = async (key: string): Promise<boolean> =>
  (await other.connections.cache.read(key)).kind === 'hit'

it('another server reads what an import changed, and misses what an undo erased', async () => {
  const users = [await service.makeUser(), await service.makeUser()]
  for (const user of users) {
    expect(await readOn(user.id)).toEqual(user)
    await fillCache(user.id)
  }
  const created = uniqueName()
  const job = await runImport(
    service,
    ndjson([...users.map(({ username }) => ({ username, name: 'imported' })), { username: created }]),
    { on_conflict: 'update' },
  )
  expect(job).toMatchObject({ state: 'done', updated: 2, created: 1 })
  for (const user of users) expect(await readOn(user.id)).toMatchObject({ name: 'imported', version: 2 })

  const list = await other.call<{ items: User[] }>('GET', `/user?username=${created}`)
  const id = list.body.items[0]?.id ?? ''
  expect((await readOn(id)).username).toBe(created)
  await service.call<Job>('POST', `/import/${job.id}/undo`)
  await runNextJob(service.connections, new AbortController().signal)
  expect((await other.call('GET', `/user/${id}`)).status).toBe(404)
  for (const user of users) expect(await readOn(user.id)).toMatchObject({ version: 2 })
})

it('an id that an import brings along is found though its absence was cached', async () => {
  const id = '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'
  expect((await other.call('GET', `/user/${id}`)).status).toBe(404)
  await fillCache(id)
  expect(await runImport(service, ndjson([{ id, username: uniqueName() }]))).toMatchObject({ created: 1 })
  expect((await other.call('GET', `/user/${id}`)).status).toBe(200)
})

it('another server does the invalidations of a chunk whose process died after the commit', async () => {
  const users = [await service.makeUser(), await service.makeUser(), await service.makeUser()]
  const ids = users.map(({ id }) => id)
  const names = users.map(({ username }) => username)
  for (const id of ids) await fillCache(id)
  await service.connections.db.transaction(async (queries) => {
    await queries.unprepared(`UPDATE users SET name = 'behind', version = 2 WHERE id = ANY($1)`, [ids])
    await service.connections.cache.recordInvalidation(queries, ids, names)
  })
  for (const id of ids) await until('the new version', async () => (await readOn(id)).version === 2)
  expect(await isCached(usernameKey(names[0] ?? ''))).toBe(false)
  await until('the record to be deleted', async () => {
    const rows = await service.connections.db.query((queries) =>
      queries.unprepared('SELECT 1 FROM cache_invalidations', []),
    )
    return rows.length === 0
  })
})
