// The rows that a change records in the outbox, in its own transaction.
import { asc, eq } from 'drizzle-orm'
import { describe, expect, it } from 'vitest'
import { outbox } from '../../../src/model/tables.ts'
import type { User } from '../../../src/model/user.ts'
import { uploadAvatar } from '../../../src/services/avatars/upload.ts'
import { machine, writeContext } from '../../support/caller.ts'
import { png } from '../../support/picture.ts'
import { type Service, startService, uniqueName } from '../../support/service.ts'

const pool = { COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI', COGNITO_CLIENT_ID: 'client' }
const bus = { EVENT_BUS: 'users' }
const both = await startService({ env: { ...pool, ...bus } })

const rowsOf = (userId: string, service: Service = both) =>
  service.connections.db.query((queries) =>
    queries.select().from(outbox).where(eq(outbox.userId, userId)).orderBy(asc(outbox.id)),
  )
const last = async (userId: string, service: Service = both) => (await rowsOf(userId, service)).at(-1)

/** The fields of a user that an event contains. */
const eventUser = ({ id, username, status, version }: User) => ({ id, username, status, version })

describe('a change records one row', () => {
  it('with its type, the changed fields, and no personal data but the username', async () => {
    const user = await both.makeUser()
    const path = `/user/${user.id}`
    expect((await last(user.id))?.data).toEqual({ user: eventUser(user), changed: [] })
    expect(await last(user.id)).toMatchObject({
      type: 'user.created',
      data: { user: eventUser(user), changed: [] },
      poolTask: null,
      poolPending: false,
      busPending: true,
    })

    const renamed = `${user.username}.new`
    const steps = [
      [{ name: 'Ada' }, 'user.updated', ['name'], null],
      [{ status: 'BLOCKED', name: null }, 'user.blocked', ['name', 'status'], 'status'],
      [{ status: 'ACTIVE' }, 'user.unblocked', ['status'], 'status'],
      [{ password: 'another-password' }, 'user.updated', ['password'], 'password'],
      [
        { password: 'yet-another-one', status: 'BLOCKED' },
        'user.blocked',
        ['status', 'password'],
        'password',
      ],
      [{ contacts: [{ contact_type: 'WORK', value: 'x' }] }, 'user.updated', ['contacts'], null],
      [{ external_id: 'x', attributes: { a: 1 } }, 'user.updated', ['external_id', 'attributes'], null],
      [{ attributes: { a: 1, b: null } }, 'user.updated', [], null],
      [{ password: null }, 'user.updated', ['password'], 'password'],
      [{ password: null }, 'user.updated', [], null],
      [{ username: renamed, password: 'the-last-one' }, 'user.updated', ['username', 'password'], 'remove'],
    ] as const
    for (const [json, type, changed, poolTask] of steps) {
      const { body } = await both.call('PATCH', path, { json })
      expect(await last(user.id)).toMatchObject({
        type,
        data: { user: eventUser(body), changed },
        poolTask,
        poolUsername: poolTask && user.username,
        poolPending: poolTask !== null,
        busPending: true,
        poolAttempts: 0,
      })
    }
    await both.call('DELETE', path)
    const rows = await rowsOf(user.id)
    expect(rows).toHaveLength(steps.length + 2)
    expect(rows.at(-1)).toMatchObject({
      type: 'user.erased',
      data: { user: { id: user.id, username: renamed }, changed: [] },
      poolTask: 'remove',
      poolUsername: renamed,
      poolUsernameFolded: renamed,
    })
    expect(new Set(rows.map((row) => row.eventId)).size).toBe(rows.length)
  })

  it('without a password or hash', async () => {
    const user = await both.makeUser({ password: 'hunter2-hunter2' })
    await both.call('PATCH', `/user/${user.id}`, { json: { password: 'hunter3-hunter3' } })
    expect(JSON.stringify(await rowsOf(user.id))).not.toMatch(/hunter|argon2/)
  })

  it('only if it is committed', async () => {
    const user = await both.makeUser()
    const taken = await both.makeUser()
    const path = `/user/${user.id}`
    expect((await both.call('PATCH', path, { json: { username: taken.username } })).status).toBe(409)
    const headers = { 'if-match': '"7"' }
    expect((await both.call('PATCH', path, { headers, json: { status: 'BLOCKED' } })).status).toBe(412)
    expect((await both.call('DELETE', path, { headers })).status).toBe(412)
    expect(await rowsOf(user.id)).toHaveLength(1)
    // The avatar is stored last, so this change fails after it was recorded.
    const { connections } = both
    const avatars = { ...connections.avatars, put: () => Promise.reject(new Error('full')) }
    const ctx = writeContext({ ...connections, avatars })
    const upload = uploadAvatar(ctx, { id: user.id, caller: machine, precondition: undefined }, await png())
    await expect(upload).rejects.toThrow('full')
    expect(await rowsOf(user.id)).toHaveLength(1)
  })
})

describe('only configured targets get rows', () => {
  const create = async (service: Service) => {
    const user = await service.makeUser({ username: uniqueName() })
    await service.call('PATCH', `/user/${user.id}`, { json: { name: 'Ada' } })
    await service.call('PATCH', `/user/${user.id}`, { json: { status: 'BLOCKED' } })
    return rowsOf(user.id, service)
  }

  it('a pool alone gets its tasks, and no events', async () => {
    const rows = await create(await startService({ env: pool }))
    expect(rows).toHaveLength(1)
    expect(rows[0]).toMatchObject({ poolTask: 'status', poolPending: true, busPending: false })
  })

  it('a bus alone gets every event, and no pool task', async () => {
    const rows = await create(await startService({ env: bus }))
    expect(rows).toHaveLength(3)
    for (const row of rows)
      expect(row).toMatchObject({ poolTask: null, poolPending: false, busPending: true })
  })

  it('without either, no row is recorded', async () => {
    expect(await create(await startService())).toEqual([])
  })
})
