// Delivers the outbox to a pool and a bus that work, fail, hang, or are served by several relays at once.
import {
  AdminAddUserToGroupCommand,
  AdminCreateUserCommand,
  AdminGetUserCommand,
  AdminSetUserPasswordCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import { asc, eq, sql } from 'drizzle-orm'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { outbox, poolGroups } from '../../../src/model/tables.ts'
import type { User } from '../../../src/model/user.ts'
import { deliverDue, runDelivery } from '../../../src/services/outbox/relay.ts'
import { startCognito } from '../../support/cognito.ts'
import { startBus } from '../../support/event-bus.ts'
import { startProxy } from '../../support/proxy.ts'
import { type Service, startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const cognito = await startCognito()
cognito.functions.PreTokenGeneration = async (event) => event
const bus = await startBus()
// Between the service and the pool; sign-ins bypass it.
const network = await startProxy({ host: '127.0.0.1', port: cognito.port })
afterAll(network.close)
Object.assign(process.env, cognito.env, bus.env, {
  AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: `http://127.0.0.1:${network.port}`,
})
const env = { ...cognito.env, ...bus.env }
const service = await startService({ env })
const { db } = service.connections

/** Delivers like the relay, until nothing deliverable is due. */
const deliverAll = async (by: Service = service) => {
  const deliver = async (target: 'pool' | 'bus') => {
    while ((await deliverDue(by.connections, target, AbortSignal.timeout(20_000))) > 0);
  }
  await deliver('pool')
  await deliver('bus')
}
const waiting = (userId: string) =>
  db.query((queries) =>
    queries.select().from(outbox).where(eq(outbox.userId, userId)).orderBy(asc(outbox.id)),
  )
const becomeDue = (userId: string) =>
  db.query((queries) =>
    queries
      .update(outbox)
      .set({ poolDueAt: new Date(), busDueAt: new Date() })
      .where(eq(outbox.userId, userId)),
  )
const poolUser = (username: string) =>
  cognito.admin
    .send(new AdminGetUserCommand({ UserPoolId: cognito.poolId, Username: username }))
    .catch(() => undefined)
const callsFor = (username: string) =>
  cognito.calls.filter(
    (call) => call.endsWith(` ${username}`) && !/GetUser|CreateUser|InitiateAuth/.test(call),
  )
const eventsOf = (userId: string) =>
  bus.events
    .map(({ Detail, ...event }) => ({ ...event, detail: JSON.parse(Detail) }))
    .filter(({ detail }) => detail.user.id === userId)

/** Makes a user who has signed in, and therefore is in the pool, in the group of readers. */
async function signedIn(): Promise<{ id: string; path: string; username: string }> {
  const { id, username } = await service.makeUser()
  const user = { UserPoolId: cognito.poolId, Username: username }
  await cognito.admin.send(new AdminCreateUserCommand({ ...user, MessageAction: 'SUPPRESS' }))
  await cognito.admin.send(
    new AdminSetUserPasswordCommand({ ...user, Password: 'a-good-password', Permanent: true }),
  )
  await cognito.admin.send(new AdminAddUserToGroupCommand({ ...user, GroupName: 'readers' }))
  cognito.calls.length = 0
  return { id, username, path: `/user/${id}` }
}

describe('the pool', () => {
  it('disables and signs out a blocked user, and enables an unblocked one', async () => {
    const { id, path, username } = await signedIn()
    await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect((await poolUser(username))?.Enabled).toBe(false)
    expect(callsFor(username)).toEqual([`AdminDisableUser ${username}`, `AdminUserGlobalSignOut ${username}`])
    await service.call('PATCH', path, { json: { status: 'ACTIVE' } })
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect((await poolUser(username))?.Enabled).toBe(true)
  })

  it('has the new password when the change is answered, and has ended the earlier sessions', async () => {
    const { id, path, username } = await signedIn()
    const answer = await service.call('PATCH', path, { json: { password: 'another-password' } })
    expect(answer.status).toBe(200)
    expect((await waiting(id)).some(({ poolPending }) => poolPending)).toBe(false)
    expect(callsFor(username)).toContain(`AdminUserGlobalSignOut ${username}`)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    await cognito.signIn(username, 'another-password')
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect(await poolUser(username)).toBeDefined()
  })

  it('answers a change of password in the next second', async () => {
    const { path } = await signedIn()
    const second = Math.floor(Date.now() / 1_000)
    await service.call('PATCH', path, { json: { password: 'another-password' } })
    expect(Math.floor(Date.now() / 1_000)).toBeGreaterThan(second)
  })

  it('needs no task for a user who has never signed in', async () => {
    const { id, username } = await service.makeUser()
    const path = `/user/${id}`
    for (const json of [{ status: 'BLOCKED' }, { status: 'ACTIVE' }, { password: 'another-password' }])
      expect((await service.call('PATCH', path, { json })).status).toBe(200)
    await service.call('DELETE', path)
    await becomeDue(id)
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect(await poolUser(username)).toBeUndefined()
  })

  it('removes erased and renamed users, and saves the groups of renamed ones', async () => {
    const { id, path, username } = await signedIn()
    await service.call('PATCH', path, { json: { username: uniqueName() } })
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect(await poolUser(username)).toBeUndefined()
    expect(await savedGroups(id)).toEqual(['readers'])
    await service.call('DELETE', path)
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect(await savedGroups(id)).toBeUndefined()
  })
})

const savedGroups = async (userId: string) => {
  const [row] = await db.query((queries) =>
    queries.select().from(poolGroups).where(eq(poolGroups.userId, userId)),
  )
  return row?.groups
}

describe('while the pool is unreachable', () => {
  /** Makes removals of this name fail until the returned function is called. */
  const keepIn = (username: string) => {
    cognito.onCall = (call) => {
      if (call === `AdminDeleteUser ${username}`) throw new Error('not now')
    }
    const letGo = () => {
      cognito.onCall = () => {}
    }
    onTestFinished(letGo)
    return letGo
  }

  it('no task of a name’s next owner runs before the former owner is removed', async () => {
    const former = await signedIn()
    const letGo = keepIn(former.username)
    await service.call('DELETE', former.path)
    await deliverAll()
    const next = await service.makeUser({ username: former.username })
    await service.call('PATCH', `/user/${next.id}`, { json: { status: 'BLOCKED' } })
    await deliverAll()
    expect(callsFor(former.username)).not.toContain(`AdminDisableUser ${former.username}`)
    expect(await waiting(next.id)).toMatchObject([{ type: 'user.blocked', poolPending: true }])
    letGo()
    await becomeDue(former.id)
    await deliverAll()
    await becomeDue(next.id)
    await deliverAll()
    expect(await waiting(next.id)).toEqual([])
  })

  it('no later task of a renamed user runs before the former name is removed', async () => {
    const { id, path, username } = await signedIn()
    const renamed = uniqueName()
    const letGo = keepIn(username)
    await service.call('PATCH', path, { json: { username: renamed } })
    await deliverAll()
    await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    await deliverAll()
    expect(cognito.calls).not.toContain(`AdminDisableUser ${renamed}`)
    letGo()
    await becomeDue(id)
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    expect(cognito.calls).toContain(`AdminDisableUser ${renamed}`)
    expect(cognito.calls.lastIndexOf(`AdminDeleteUser ${username}`)).toBeLessThan(
      cognito.calls.indexOf(`AdminDisableUser ${renamed}`),
    )
  })

  it('changes are stored and answered, and delivered in order afterwards', async () => {
    const { id, path, username } = await signedIn()
    await network.refuse()
    onTestFinished(network.pass)
    for (const json of [{ status: 'BLOCKED' }, { password: 'another-password' }, { status: 'ACTIVE' }])
      expect((await service.call('PATCH', path, { json })).status).toBe(200)
    // The bus does not wait for the pool.
    for (let round = 1; round <= 3; round++) {
      await becomeDue(id)
      await deliverAll()
    }
    expect(eventsOf(id)).toHaveLength(4)
    expect(callsFor(username)).toEqual([])

    await network.pass()
    await becomeDue(id)
    await deliverAll()
    expect(await waiting(id)).toEqual([])
    // The password is no longer in memory, so the next sign-in migrates the user again, with the same groups.
    expect(callsFor(username)).toEqual([
      // Uses the status at the time of delivery.
      `AdminEnableUser ${username}`,
      `AdminListGroupsForUser ${username}`,
      `AdminDeleteUser ${username}`,
      `AdminEnableUser ${username}`,
    ])
    expect(await poolUser(username)).toBeUndefined()
    expect(await savedGroups(id)).toEqual(['readers'])
  })

  it('a change of password is answered within three seconds', async () => {
    const { id, path } = await signedIn()
    network.hang()
    onTestFinished(network.pass)
    const startedAt = performance.now()
    expect((await service.call('PATCH', path, { json: { password: 'another-password' } })).status).toBe(200)
    expect(performance.now() - startedAt).toBeLessThan(3_000)
    expect(await waiting(id)).toMatchObject([
      { type: 'user.created' },
      { poolPending: true, poolAttempts: 1 },
    ])
    await network.pass()
    await becomeDue(id)
    await deliverAll()
  })

  it('a user whose task always fails delays no other user, and stays visible', async () => {
    const [stuck, other] = [await signedIn(), await signedIn()]
    cognito.onCall = (call) => {
      if (call.endsWith(stuck.username)) throw new Error('this name is not to my liking')
    }
    onTestFinished(() => {
      cognito.onCall = () => {}
    })
    for (const { path } of [stuck, other]) await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    await deliverAll()
    expect(await waiting(other.id)).toEqual([])
    await becomeDue(stuck.id)
    await deliverAll()
    expect(await waiting(stuck.id)).toMatchObject([
      { type: 'user.blocked', busPending: false, poolAttempts: 2 },
    ])
    expect(service.log).toContainEqual({
      level: 'warn',
      message: 'the outbox could not deliver',
      fields: expect.objectContaining({
        count: 1,
        error: expect.objectContaining({ message: expect.stringContaining('liking') }),
      }),
    })
  })
})

describe('the bus', () => {
  it('gets every change of a user in order, with an id, and no personal data but the username', async () => {
    const { id, username } = await service.makeUser({
      password: 'a-secret-of-mine',
      contacts: [{ contact_type: 'WORK', value: 'x' }],
    })
    const path = `/user/${id}`
    const answers: User[] = []
    for (const json of [
      { name: 'Ada' },
      { password: 'another-secret' },
      { status: 'BLOCKED' },
      { status: 'ACTIVE' },
    ])
      answers.push((await service.call('PATCH', path, { json })).body)
    await service.call('DELETE', path)
    await becomeDue(id)
    await deliverAll()
    const events = eventsOf(id)
    expect(events.map(({ DetailType, detail }) => [DetailType, detail.changed])).toEqual([
      ['user.created', []],
      ['user.updated', ['name']],
      ['user.updated', ['password']],
      ['user.blocked', ['status']],
      ['user.unblocked', ['status']],
      ['user.erased', []],
    ])
    expect(events.slice(1, 5).map(({ detail }) => detail.user)).toEqual(
      answers.map(({ id, username, status, version }) => ({ id, username, status, version })),
    )
    expect(events.at(-1)?.detail.user).toEqual({ id, username, status: 'ACTIVE', version: 5 })
    expect(new Set(events.map(({ detail }) => detail.id)).size).toBe(6)
    expect(events[0]).toMatchObject({ EventBusName: 'directory', Source: 'user-directory' })
    expect(Math.abs((events[0]?.Time ?? 0) * 1_000 - Date.now())).toBeLessThan(60_000)
    expect(JSON.stringify(events)).not.toMatch(/secret|argon2|hash/i)
  })

  it('gets events in batches, and rejected events again', async () => {
    await deliverAll()
    bus.batches.length = 0
    const made = await Promise.all(Array.from({ length: 25 }, () => service.makeUser()))
    const isMade = (detail: string) => made.some(({ id }) => detail.includes(id))
    let refused = 0
    bus.refuses = ({ Detail }) => isMade(Detail) && refused++ % 3 === 0
    onTestFinished(() => {
      bus.refuses = () => false
    })
    await deliverAll()
    const ids = made.map(({ id }) => id)
    const count = () => bus.events.filter(({ Detail }) => isMade(Detail)).length
    expect(count()).toBeLessThan(25)
    expect(Math.max(...bus.batches)).toBe(10)
    bus.refuses = () => false
    for (const id of ids) await becomeDue(id)
    await deliverAll()
    expect(count()).toBe(25)
    expect((await Promise.all(ids.map(waiting))).flat()).toEqual([])
  })

  it('delays no task of the pool while it is down', async () => {
    bus.isDown = true
    onTestFinished(() => {
      bus.isDown = false
    })
    const { id, path, username } = await signedIn()
    await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    await deliverAll()
    expect((await poolUser(username))?.Enabled).toBe(false)
    expect(eventsOf(id)).toEqual([])
    bus.isDown = false
    await becomeDue(id)
    await deliverAll()
    expect(eventsOf(id).map(({ DetailType }) => DetailType)).toEqual(['user.created', 'user.blocked'])
  })
})

describe('the pool and the bus do not delay each other', () => {
  /** Makes more users in the pool than one claim takes. */
  const many = () => Promise.all(Array.from({ length: 25 }, signedIn))
  const block = (made: { path: string }[]) =>
    Promise.all(made.map(({ path }) => service.call('PATCH', path, { json: { status: 'BLOCKED' } })))
  const deliverInBackground = () => {
    const stop = new AbortController()
    const running = runDelivery(service.connections, stop.signal)
    onTestFinished(async () => {
      stop.abort()
      await running
    })
  }

  it('events are published while the pool hangs, even for the same users', async () => {
    await deliverAll()
    const made = await many()
    network.hang()
    onTestFinished(network.pass)
    deliverInBackground()
    await block(made)
    const isPublished = ({ id }: { id: string }) => eventsOf(id).length === 2
    await until('the events', () => made.every(isPublished), 3_000)
    for (const { id } of made) expect(await waiting(id)).toMatchObject([{ poolPending: true }])
    await network.pass()
    for (const { username } of made)
      await until(
        'the pool to be synchronised',
        async () => (await poolUser(username))?.Enabled === false,
        60_000,
      )
  }, 90_000)

  it('a row that one target has often rejected reaches the other without delay', async () => {
    const { id, path, username } = await signedIn()
    await deliverAll()
    const later = { busAttempts: 12, busDueAt: new Date(Date.now() + 300_000) }
    await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    await db.query((queries) => queries.update(outbox).set(later).where(eq(outbox.userId, id)))
    await deliverAll()
    expect(await waiting(id)).toMatchObject([{ poolPending: false, busPending: true, ...later }])
    expect((await poolUser(username))?.Enabled).toBe(false)

    const muchLater = { poolAttempts: 12, poolDueAt: new Date(Date.now() + 300_000) }
    await service.call('PATCH', path, { json: { status: 'ACTIVE' } })
    await db.query((queries) =>
      queries
        .update(outbox)
        .set({ ...muchLater, busDueAt: new Date() })
        .where(eq(outbox.userId, id)),
    )
    await deliverAll()
    expect(eventsOf(id)).toHaveLength(3)
    expect(await waiting(id)).toMatchObject([{ poolPending: true, busPending: false, ...muchLater }])
  })

  it('the event of a new password does not wait for the pool’s task', async () => {
    const { id, path } = await signedIn()
    await deliverAll()
    network.hang()
    onTestFinished(network.pass)
    const changing = service.call('PATCH', path, { json: { password: 'another-password' } })
    await until('the event', async () => {
      await deliverDue(service.connections, 'bus', AbortSignal.timeout(20_000))
      return eventsOf(id).length === 2
    })
    expect(await waiting(id)).toMatchObject([{ poolPending: true, busPending: false }])
    expect((await changing).status).toBe(200)
  })

  it('a row that both targets settle at the same time is deleted', async () => {
    await deliverAll()
    const made = await many()
    await block(made)
    deliverInBackground()
    for (const { id } of made)
      await until('the outbox to be empty', async () => (await waiting(id)).length === 0)
    for (const { id } of made)
      expect(eventsOf(id).map(({ DetailType }) => DetailType)).toEqual(['user.created', 'user.blocked'])
  })

  it('pool tasks run while the bus hangs', async () => {
    await deliverAll()
    const made = await many()
    bus.isHanging = true
    onTestFinished(() => {
      bus.isHanging = false
    })
    deliverInBackground()
    await block(made)
    const isDone = ({ username }: { username: string }) =>
      callsFor(username).includes(`AdminUserGlobalSignOut ${username}`)
    await until('the pool to be synchronised', () => made.every(isDone), 3_000)
    bus.isHanging = false
    await until('the events', () => made.every(({ id }) => eventsOf(id).length === 2), 60_000)
  }, 90_000)
})

describe('several relays', () => {
  it('deliver every row once, in order for each user', async () => {
    const other = await startService({ env, beside: service })
    const made = await Promise.all(Array.from({ length: 12 }, () => service.makeUser()))
    const change = async ({ id }: User) => {
      for (let round = 1; round <= 4; round++)
        await service.call('PATCH', `/user/${id}`, { json: { name: `${round}` } })
    }
    const changing = Promise.all(made.map(change))
    let isChanging = true
    const work = async (by: Service) => {
      while (isChanging) await deliverAll(by)
    }
    const working = [service, other, service, other].map(work)
    await changing
    isChanging = false
    await Promise.all(working)
    await deliverAll()
    for (const { id } of made)
      expect(eventsOf(id).map(({ detail }) => detail.user.version)).toEqual([1, 2, 3, 4, 5])
  })

  it('that start at the same moment claim no row twice', async () => {
    const other = await startService({ env, beside: service })
    const user = await service.makeUser()
    await db.query((queries) => queries.delete(outbox))
    await db.query((queries) =>
      queries.execute(sql`
        INSERT INTO outbox (event_id, user_id, type, data, pool_pending, bus_pending)
        SELECT gen_random_uuid(), gen_random_uuid(), 'user.updated', ${JSON.stringify({ user, changed: [] })}, false, true
        FROM generate_series(1, 200)`),
    )
    const ids = () => eventsOf(user.id).map(({ detail }) => detail.id)
    await Promise.all(
      Array.from({ length: 6 }, async (_, at) => {
        const by = at % 2 === 0 ? service : other
        while ((await deliverDue(by.connections, 'bus', AbortSignal.timeout(20_000))) > 0);
      }),
    )
    expect(ids()).toHaveLength(200)
    expect(new Set(ids()).size).toBe(200)
  })

  it('keep the order of a user and of a name in the pool', async () => {
    const other = await startService({ env, beside: service })
    await deliverAll()
    const { id, path, username } = await signedIn()
    const statuses = ['BLOCKED', 'ACTIVE', 'BLOCKED', 'ACTIVE', 'BLOCKED']
    for (const status of statuses) await service.call('PATCH', path, { json: { status } })
    await service.call('DELETE', path)
    const next = await service.makeUser({ username })
    await service.call('PATCH', `/user/${next.id}`, { json: { status: 'BLOCKED' } })
    const stop = new AbortController()
    const running = [service, other].map((by) => runDelivery(by.connections, stop.signal))
    await until(
      'the outbox to be empty',
      async () => [...(await waiting(id)), ...(await waiting(next.id))].length === 0,
    )
    stop.abort()
    await Promise.all(running)
    const tasks = callsFor(username).filter((call) => !/SignOut|ListGroups/.test(call))
    // Only the removal of an erased user remains.
    expect(tasks.filter((call) => call.startsWith('AdminDeleteUser'))).toHaveLength(1)
    expect(tasks.at(-1)).toBe(`AdminDisableUser ${username}`)
    expect(tasks.indexOf(`AdminDeleteUser ${username}`)).toBe(tasks.length - 2)
  })

  it('deliver the rows of a crashed relay again, with the current status', async () => {
    const { id, path, username } = await signedIn()
    await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    // The state after a process has claimed the row and crashed before settling it.
    await db.query((queries) =>
      queries
        .update(outbox)
        .set({
          poolAttempts: 1,
          poolDueAt: new Date(Date.now() + 30_000),
          busAttempts: 1,
          busDueAt: new Date(Date.now() + 30_000),
        })
        .where(eq(outbox.userId, id)),
    )
    await service.call('PATCH', path, { json: { status: 'ACTIVE' } })
    await deliverAll()
    expect(callsFor(username)).toEqual([])
    await becomeDue(id)
    await deliverAll()
    expect((await poolUser(username))?.Enabled).toBe(true)
    expect(eventsOf(id).at(-1)?.DetailType).toBe('user.unblocked')
  })

  it('that lost their claim settle no row of its new owner', async () => {
    const { id, path, username } = await signedIn()
    await deliverAll()
    cognito.onDone = async (call) => {
      if (call === `AdminDisableUser ${username}`)
        await db.query((queries) =>
          queries.update(outbox).set({ poolAttempts: 5, busPending: false }).where(eq(outbox.userId, id)),
        )
    }
    onTestFinished(() => {
      cognito.onDone = () => {}
    })
    await service.call('PATCH', path, { json: { status: 'BLOCKED' } })
    await deliverDue(service.connections, 'pool', AbortSignal.timeout(20_000))
    expect(await waiting(id)).toMatchObject([{ poolAttempts: 5, poolPending: true }])
    cognito.onDone = () => {}
    await becomeDue(id)
    await deliverAll()
    expect(await waiting(id)).toEqual([])
  })

  it('that lost their claim leave no outdated password in the pool', async () => {
    const { id, path, username } = await signedIn()
    cognito.onDone = async (call) => {
      if (call === `AdminSetUserPassword ${username}`)
        await db.query((queries) =>
          queries.update(outbox).set({ poolAttempts: 5 }).where(eq(outbox.userId, id)),
        )
    }
    onTestFinished(() => {
      cognito.onDone = () => {}
    })
    await service.call('PATCH', path, { json: { password: 'another-password' } })
    expect(await poolUser(username)).toBeUndefined()
    expect(await savedGroups(id)).toEqual(['readers'])
  })
})

it('thousands of undeliverable rows of one user delay no other user, and are deferred together', async () => {
  await deliverAll()
  const [stuck, other] = [await service.makeUser(), await service.makeUser()]
  await db.query((queries) => queries.delete(outbox))
  // PostgreSQL plans for a nearly empty table, which is its usual state.
  await db.query((queries) => queries.execute(sql`VACUUM ANALYZE outbox`))
  for (let round = 0; round < 10; round++) await deliverAll()
  const dueAt = new Date(Date.now() + 240_000)
  // More rows than a claim examines, due before the other user's. The first has failed often.
  await db.query((queries) =>
    queries.execute(sql`
      INSERT INTO outbox (event_id, user_id, type, data, pool_pending, bus_pending, bus_due_at)
      SELECT gen_random_uuid(), ${stuck.id}, 'user.updated', ${JSON.stringify({ user: stuck, changed: [] })},
        false, true, CASE WHEN i = 1 THEN ${dueAt}::timestamptz ELSE now() - interval '1 minute' END
      FROM generate_series(1, 5000) AS i`),
  )
  await service.call('PATCH', `/user/${other.id}`, { json: { name: 'Ada' } })
  await deliverAll()
  expect(eventsOf(other.id)).toHaveLength(1)
  const rows = await waiting(stuck.id)
  expect(rows).toHaveLength(5_000)
  expect(new Set(rows.map(({ busDueAt }) => busDueAt.getTime()))).toEqual(new Set([dueAt.getTime()]))
  await db.query((queries) => queries.delete(outbox))
})

describe('an outbox that lags', () => {
  it('is reported by /ready, which stays ready', async () => {
    const { id } = await service.makeUser()
    const ready = async () => await service.call<Record<string, unknown>>('GET', '/ready', { token: null })
    expect(await ready()).toMatchObject({ status: 200, body: { outbox: { state: 'up' } } })
    await db.query((queries) =>
      queries
        .update(outbox)
        .set({ createdAt: new Date(Date.now() - 120_000) })
        .where(eq(outbox.userId, id)),
    )
    const { status, body } = await ready()
    expect([status, body.status]).toEqual([200, 'ready'])
    expect(body.outbox).toEqual({
      state: 'lagging',
      pending: expect.any(Number),
      oldest_seconds: expect.any(Number),
    })
    expect((body.outbox as { oldest_seconds: number }).oldest_seconds).toBeGreaterThanOrEqual(120)
    await deliverAll()
  })
})
