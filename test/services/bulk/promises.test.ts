// The promises of single writes hold for bulk changes: caches, sessions, events, versions, and no lost write beside them.
import { asc, eq } from 'drizzle-orm'
import { expect, it } from 'vitest'
import { outbox } from '../../../src/model/tables.ts'
import type { User } from '../../../src/model/user.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { createBulk, runBulk } from '../../support/bulk.ts'
import { ndjson, runImport } from '../../support/import.ts'
import { realServices, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const env = realServices()
const service = await startService({ env: { ...env, EVENT_BUS: 'users' } })
const other = await startService({ env, beside: service })
const { call, makeUser, issuer } = service
const never = new AbortController().signal

const readOn = async (id: string) => (await other.call<User>('GET', `/user/${id}`)).body
const isCached = async (id: string) => (await other.connections.cache.read(id)).kind === 'hit'
const query = (text: string, values: unknown[]) =>
  service.connections.db.query((queries) => queries.unprepared<Record<string, unknown>>(text, values))

it('another server reads the changed users, though it had cached the former ones', async () => {
  const users = [await makeUser(), await makeUser()]
  const [blocked, erased] = users as [User, User]
  for (const { id } of users)
    await until('the entry', async () => {
      await readOn(id)
      return isCached(id)
    })
  await runBulk(service, { action: 'block', ids: [blocked.id] })
  expect(await readOn(blocked.id)).toMatchObject({ status: 'BLOCKED', version: 2 })
  await runBulk(service, { action: 'erase', ids: [erased.id] })
  expect((await other.call('GET', `/user/${erased.id}`)).status).toBe(404)
})

it('every server rejects the tokens of blocked and of erased users within a second', async () => {
  for (const action of ['block', 'erase']) {
    const user = await makeUser()
    const token = await issuer.token({ username: user.username, 'cognito:groups': ['readers'] })
    const list = async (on: typeof service) => (await on.call('GET', '/user?limit=1', { token })).status
    for (const server of [service, other]) expect(await list(server)).toBe(200)
    await runBulk(service, { action, ids: [user.id] })
    const endedAt = performance.now()
    for (const server of [service, other])
      await until('the token to be refused', async () => {
        const askedAt = performance.now()
        const status = await list(server)
        if (status !== 401) expect(askedAt - endedAt).toBeLessThan(1_000)
        return status === 401
      })
    // A token from before the block stays refused after the unblocking.
    if (action === 'block') {
      await runBulk(service, { action: 'unblock', ids: [user.id] })
      expect(await list(other)).toBe(401)
    }
  }
})

it('each changed user has one event, and an unchanged one has none', async () => {
  const [user, unchanged] = [await makeUser(), await makeUser({ status: 'BLOCKED' })]
  const eventsOf = async (userId: string) =>
    (
      await service.connections.db.query((queries) =>
        queries.select().from(outbox).where(eq(outbox.userId, userId)).orderBy(asc(outbox.id)),
      )
    ).map(({ type, data }) => ({ type, data }))
  await runBulk(service, { action: 'block', ids: [user.id, unchanged.id] })
  await runBulk(service, { action: 'set_attributes', attributes: { plan: 'paid' }, ids: [user.id] })
  await runBulk(service, { action: 'erase', ids: [user.id] })
  const { id, username } = user
  expect((await eventsOf(id)).slice(1)).toEqual([
    {
      type: 'user.blocked',
      data: { user: { id, username, status: 'BLOCKED', version: 2 }, changed: ['status'] },
    },
    {
      type: 'user.updated',
      data: { user: { id, username, status: 'BLOCKED', version: 3 }, changed: ['attributes'] },
    },
    { type: 'user.erased', data: { user: { id, username, status: 'BLOCKED', version: 3 }, changed: [] } },
  ])
  expect(await eventsOf(unchanged.id)).toHaveLength(1)
})

it('live writes beside a bulk change are neither lost nor overwritten', async () => {
  const name = uniqueName('raced')
  const count = 2_000
  const rows = Array.from({ length: count }, (_, at) => ({ username: `${name}.${at}`, name, password: null }))
  await runImport(service, ndjson(rows))
  const filters = { search: name, 'attribute.plan': 'free' }
  await runBulk(service, {
    action: 'set_attributes',
    attributes: { plan: 'free' },
    filters: { search: name },
  })
  const ids = (await query('SELECT id FROM users WHERE name = $1 ORDER BY id', [name])).map(({ id }) =>
    String(id),
  )
  // Some of the last fifth leave the filter while the job runs.
  const leaving = ids.slice(-count / 5).filter((_, at) => at % 20 === 0)
  const renamed = ids.filter((_, at) => at % 40 === 0)
  const block = await createBulk(service, { action: 'block', filters })
  const answers: number[] = []
  const write = async (user: string, json: object) => {
    answers.push((await call('PATCH', `/user/${user}`, { json })).status)
  }
  const writes = async () => {
    for (const [at, user] of leaving.entries()) {
      await write(user, { attributes: { plan: 'paid' } })
      const other = renamed[at]
      if (other !== undefined) await write(other, { attributes: { seen: at } })
    }
  }
  await Promise.all([runNextJob(service.connections, never), writes()])
  const { body: job } = await call<{
    updated: number
    skipped: number
    rows_read: number
    rows_total: number
  }>('GET', `/bulk/${block.id}`)
  expect(job.rows_read).toBe(job.rows_total)
  expect(job.updated + job.skipped).toBe(job.rows_total)
  expect(new Set(answers)).toEqual(new Set([200]))
  // Each user has the live write, and the change unless the live write came first and moved it out of the filter.
  const states = await query(
    `SELECT id, status, version, attributes->>'plan' AS plan, attributes->>'seen' AS seen FROM users WHERE name = $1`,
    [name],
  )
  const byId = new Map(states.map((state) => [String(state.id), state]))
  for (const user of leaving) expect(byId.get(user)).toMatchObject({ plan: 'paid' })
  for (const [at, user] of renamed.slice(0, leaving.length).entries())
    expect(byId.get(user)).toMatchObject({ seen: String(at) })
  const kept = states.filter(({ status }) => status === 'ACTIVE')
  // Some may have left the filter before the job collected its users.
  expect(kept).toHaveLength(count - job.updated)
  for (const state of kept) expect(state).toMatchObject({ plan: 'paid' })
  for (const state of states) {
    const lives = [leaving.includes(String(state.id)), state.seen !== null].filter(Boolean).length
    expect(state.version).toBe(2 + lives + (state.status === 'BLOCKED' ? 1 : 0))
  }
})
