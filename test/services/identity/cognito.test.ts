// Sign-in through a user pool, as an app does it: two servers, the built function as the pool's triggers, and a network
// that fails between service and pool.
import { join } from 'node:path'
import {
  AdminAddUserToGroupCommand,
  AdminCreateUserCommand,
  AdminDeleteUserCommand,
  AdminGetUserCommand,
  AdminListGroupsForUserCommand,
  AdminSetUserPasswordCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import { decodeJwt } from 'jose'
import pg from 'pg'
import { afterAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { openConnections } from '../../../src/connection/open.ts'
import type { CreateUser, User } from '../../../src/model/user.ts'
import { readSettings } from '../../../src/platform/settings.ts'
import { createUser } from '../../../src/services/users/create.ts'
import { machine, writeContext } from '../../support/caller.ts'
import { startCognito } from '../../support/cognito.ts'
import { freshDatabase } from '../../support/database.ts'
import { type BusEvent, startBus } from '../../support/event-bus.ts'
import { packagedFunctions } from '../../support/functions.ts'
import { startFunction } from '../../support/lambda.ts'
import { startProxy } from '../../support/proxy.ts'
import { privateFolder, type Run, run, started } from '../../support/server-process.ts'
import { realServices, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { folder: functions } = await packagedFunctions()
const [cognito, bus, databaseUrl] = await Promise.all([startCognito(), startBus(), freshDatabase()])
const network = await startProxy({ host: '127.0.0.1', port: cognito.port })
afterAll(network.close)
const networkUrl = `http://127.0.0.1:${network.port}`
const env = {
  ...cognito.env,
  ...bus.env,
  ...realServices(),
  DATABASE_URL: databaseUrl,
  AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: networkUrl,
}
const lines: string[] = []
const triggers = await startFunction(
  join(functions, 'sign-in.js'),
  { ...env, NODE_ENV: 'production' },
  (line) => lines.push(line),
)
afterAll(triggers.close)
cognito.functions.UserMigration = triggers.invoke
cognito.functions.PreTokenGeneration = triggers.invoke

const start = async (more: Record<string, string> = {}) => {
  const server = await run(await privateFolder(), { ...env, ...more })
  await started(server)
  return server
}
// The second server calls the pool through a function, like functions in a private network.
const speaker = await startFunction(
  join(functions, 'user-pool.js'),
  { ...cognito.env, NODE_ENV: 'production', AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: networkUrl },
  () => {},
)
afterAll(speaker.close)
cognito.functions['user-pool'] = speaker.invoke
const [one, other] = await Promise.all([
  start(),
  start({ USER_POOL_FUNCTION: 'user-pool', AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${cognito.port}` }),
])

const client = new pg.Client({ connectionString: databaseUrl })
await client.connect()
afterAll(() => client.end())

const inPool = (username: string) => ({ UserPoolId: cognito.poolId, Username: username })
const poolUser = (username: string) =>
  cognito.admin.send(new AdminGetUserCommand(inPool(username))).catch(() => undefined)
const addToGroup = (username: string, GroupName: string) =>
  cognito.admin.send(new AdminAddUserToGroupCommand({ ...inPool(username), GroupName }))
const groupsOf = async (username: string) => {
  const { Groups = [] } = await cognito.admin.send(new AdminListGroupsForUserCommand(inPool(username)))
  return Groups.map(({ GroupName }) => GroupName)
}

/** Makes the first administrator in the database; the pool migrates it at the first sign-in. */
async function bootstrap(): Promise<string> {
  const body: CreateUser = { username: uniqueName('root'), password: 'a-root-password' }
  const connections = openConnections({ ...readSettings(env, '/nowhere'), databaseUrl }, console)
  try {
    await createUser(writeContext(connections), machine, body)
  } finally {
    await connections.close()
  }
  await cognito.signIn(body.username, body.password ?? '')
  await addToGroup(body.username, 'admins')
  return (await cognito.signIn(body.username, body.password ?? '')).access
}
const admin = await bootstrap()

async function call(server: Run, token: string, method: string, path: string, json?: unknown) {
  const response = await fetch(server.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(json !== undefined && { 'content-type': 'application/json' }),
    },
    ...(json !== undefined && { body: JSON.stringify(json) }),
  })
  const text = await response.text()
  return { status: response.status, user: (text ? JSON.parse(text) : {}) as User }
}
const change = async (path: string, json: unknown, server = one) => {
  const { status } = await call(server, admin, 'PATCH', path, json)
  expect(status).toBe(200)
}

async function makeUser(password = 'a-good-password', username = uniqueName('Ada')) {
  // Hashing costs more than the rest of a creation, so the default password comes hashed.
  const secret = password === 'a-good-password' ? { password_hash: inject('passwordHash') } : { password }
  const { status, user } = await call(one, admin, 'POST', '/user', { username, ...secret })
  expect(status).toBe(201)
  return { ...user, path: `/user/${user.id}` }
}
const reads = async (server: Run, token: string, path: string) =>
  (await call(server, token, 'GET', path)).status
const synced = (userId: string) =>
  until('the pool to be synchronised', async () => {
    const { rowCount } = await client.query('SELECT 1 FROM outbox WHERE user_id = $1 AND pool_pending', [
      userId,
    ])
    return rowCount === 0
  })
const becomeDue = (database: pg.Client) =>
  database.query('UPDATE outbox SET pool_due_at = now(), bus_due_at = now()')
const refusalOf = (username: string, password: string) =>
  cognito.signIn(username, password).then(
    () => 'none',
    ({ name, message }: Error) => `${name}: ${message}`,
  )

describe('a user of the directory', () => {
  it('signs in with the directory’s password and calls the API, and is rejected by every server once blocked', async () => {
    const { path, username, id } = await makeUser()
    const { access, id: idToken, refresh } = await cognito.signIn(username, 'a-good-password')
    expect(decodeJwt(access).username).toBe(username)
    for (const server of [one, other])
      for (const token of [access, idToken]) expect(await reads(server, token, path)).toBe(200)
    expect((await cognito.refresh(refresh)).access).not.toBe('')

    await change(path, { status: 'BLOCKED' })
    for (const server of [one, other])
      await until('the token to be refused', async () => (await reads(server, access, path)) === 401, 1_000)
    await expect(cognito.refresh(refresh)).rejects.toThrow('Sign-in is not possible.')
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow('Sign-in is not possible.')
    await synced(id)
    expect((await poolUser(username))?.Enabled).toBe(false)
    expect(cognito.calls).toContain(`AdminUserGlobalSignOut ${username}`)

    await change(path, { status: 'ACTIVE' })
    // First, because cognito-local keeps the user that it read before a sign-in, despite concurrent changes.
    await synced(id)
    await until('the user to be let in again', async () => {
      const { access } = await cognito.signIn(username, 'a-good-password')
      return (await reads(one, access, path)) === 200
    })
    expect((await poolUser(username))?.Enabled).toBe(true)
  })

  it('has the directory’s username in the pool, however it was typed', async () => {
    const { path, username } = await makeUser()
    const { access } = await cognito.signIn(username.toUpperCase(), 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
    expect(decodeJwt(access).username).toBe(username)
  })

  it('owns the record whichever case the pool keeps the name in', async () => {
    const { path, username } = await makeUser()
    const kept = inPool(username.toLowerCase())
    await cognito.admin.send(new AdminCreateUserCommand({ ...kept, MessageAction: 'SUPPRESS' }))
    await cognito.admin.send(
      new AdminSetUserPasswordCommand({ ...kept, Password: 'a-good-password', Permanent: true }),
    )
    const { access } = await cognito.signIn(kept.Username, 'a-good-password')
    for (const server of [one, other]) expect(await reads(server, access, path)).toBe(200)
  })

  it('is indistinguishable from an unknown user by a wrong password or a block', async () => {
    const [active, blocked] = [await makeUser(), await makeUser()]
    await change(blocked.path, { status: 'BLOCKED' })
    const refusals = await Promise.all([
      refusalOf(active.username, 'a-wrong-password'),
      refusalOf(blocked.username, 'a-good-password'),
      refusalOf(blocked.username, 'a-wrong-password'),
      refusalOf(uniqueName(), 'a-good-password'),
      refusalOf('no\u0000body', 'a-good-password'),
    ])
    expect(new Set(refusals)).toEqual(new Set(['NotAuthorizedException: User not authorized']))
    for (const { username } of [active, blocked]) expect(await poolUser(username)).toBeUndefined()
  })
})

describe('a new password', () => {
  it.each([
    ['directly', one],
    ['by way of the function', other],
  ])('takes effect at once, ends the earlier tokens, and keeps the groups (%s)', async (_way, server) => {
    const { path, username } = await makeUser()
    const before = await cognito.signIn(username, 'a-good-password')
    for (const server of [one, other])
      for (const token of [before.access, before.id]) expect(await reads(server, token, path)).toBe(200)
    await addToGroup(username, 'readers')
    await change(path, { password: 'another-password' }, server)
    const refused = async (server: Run) => {
      for (const token of [before.access, before.id])
        await until('the token to be refused', async () => (await reads(server, token, path)) === 401, 1_000)
    }
    await Promise.all([one, other].map(refused))
    expect(await poolUser(username)).toBeDefined()
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'another-password')
    expect(decodeJwt(access)['cognito:groups']).toEqual(['readers'])
    for (const server of [one, other]) {
      expect(await reads(server, access, path)).toBe(200)
      expect(await reads(server, before.access, path)).toBe(401)
    }
  })

  it('takes effect also if the pool was unreachable, and the former one is refused until then', async () => {
    const { path, username, id } = await makeUser()
    await cognito.signIn(username, 'a-good-password')
    await addToGroup(username, 'readers')
    await network.refuse()
    onTestFinished(network.pass)
    await change(path, { password: 'another-password' })
    // The pool still accepts it.
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow('Sign-in is not possible.')

    await network.pass()
    await becomeDue(client)
    await synced(id)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    await cognito.signIn(username, 'another-password')
    await synced(id)
    expect(await groupsOf(username)).toEqual(['readers'])
    const { access } = await cognito.signIn(username, 'another-password')
    expect(decodeJwt(access)['cognito:groups']).toEqual(['readers'])
    expect(await reads(other, access, path)).toBe(200)
  })
})

describe('a user without a password', () => {
  it('keeps the groups, and signs in again once a password is set', async () => {
    const { path, username, id } = await makeUser()
    await cognito.signIn(username, 'a-good-password')
    await addToGroup(username, 'readers')

    await change(path, { password: null })
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    await synced(id)
    expect(await poolUser(username)).toBeUndefined()
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()

    await change(path, { password: 'the-next-password' })
    await synced(id)
    await cognito.signIn(username, 'the-next-password')
    await synced(id)
    expect(await groupsOf(username)).toEqual(['readers'])
  })

  it('is blocked, renamed and erased without a user in the pool', async () => {
    const username = uniqueName()
    const { user } = await call(one, admin, 'POST', '/user', { username, password: null })
    const path = `/user/${user.id}`
    for (const json of [{ status: 'BLOCKED' }, { status: 'ACTIVE' }, { username: `${username}.renamed` }])
      await change(path, json)
    expect((await call(one, admin, 'DELETE', path)).status).toBe(204)
    await synced(user.id)
  })
})

describe('a change while the pool migrates a user', () => {
  /** Runs `work` after the trigger has accepted the password, and before the pool creates the user. */
  const afterYes = (work: () => Promise<unknown>) => {
    cognito.functions.UserMigration = async (event) => {
      cognito.functions.UserMigration = triggers.invoke
      const answer = await triggers.invoke(event)
      await work()
      return answer
    }
    onTestFinished(() => {
      cognito.functions.UserMigration = triggers.invoke
    })
  }
  const refusal = 'Sign-in is not possible.'

  it('of the password leaves no former password in the pool', async () => {
    const { path, username, id } = await makeUser()
    afterYes(() => change(path, { password: 'another-password' }))
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow(refusal)
    await synced(id)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'another-password')
    expect(await reads(one, access, path)).toBe(200)
    // Afterwards the pending migration is gone.
    await cognito.signIn(username, 'another-password')
    expect((await client.query('SELECT 1 FROM pending_user_migrations')).rowCount).toBe(0)
  })

  it('of the name keeps its next owner and the former one apart', async () => {
    for (const end of [
      (path: string) => change(path, { username: uniqueName('Grace') }),
      (path: string) => call(one, admin, 'DELETE', path),
    ]) {
      const former = await makeUser()
      let next: Awaited<ReturnType<typeof makeUser>> | undefined
      afterYes(async () => {
        await end(former.path)
        await synced(former.id)
        next = await makeUser('the-next-password', former.username)
      })
      await expect(cognito.signIn(former.username, 'a-good-password')).rejects.toThrow(refusal)
      await synced(former.id)
      await expect(cognito.signIn(former.username, 'a-good-password')).rejects.toThrow()
      const { access } = await cognito.signIn(former.username, 'the-next-password')
      expect(await reads(one, access, next?.path ?? '')).toBe(200)
    }
  })

  it('by a block admits no earlier password after the unblocking', async () => {
    const { path, username, id } = await makeUser()
    afterYes(() => change(path, { status: 'BLOCKED' }))
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow(refusal)
    await change(path, { status: 'ACTIVE' })
    await synced(id)
    await cognito.signIn(username, 'a-good-password')
  })

  it('or none: concurrent first sign-ins make one user, who is admitted', async () => {
    const { path, username, id } = await makeUser()
    const tries = await Promise.allSettled(
      Array.from({ length: 5 }, () => cognito.signIn(username, 'a-good-password')),
    )
    expect(tries.some(({ status }) => status === 'fulfilled')).toBe(true)
    const { access } = await cognito.signIn(username, 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
    await synced(id)
  })
})

describe('a pool that had users before the directory', () => {
  async function adopted() {
    const username = uniqueName('Ada')
    const inThePool = inPool(username)
    await cognito.admin.send(new AdminCreateUserCommand({ ...inThePool, MessageAction: 'SUPPRESS' }))
    const Password = 'only-in-the-pool'
    await cognito.admin.send(new AdminSetUserPasswordCommand({ ...inThePool, Password, Permanent: true }))
    await addToGroup(username, 'readers')
    return username
  }

  it('admits no user who is not in the directory', async () => {
    await expect(cognito.signIn(await adopted(), 'only-in-the-pool')).rejects.toThrow(
      'Sign-in is not possible.',
    )
  })

  it('keeps its own password until the directory changes it', async () => {
    const username = await adopted()
    const { path, id } = await makeUser('a-good-password', username)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'only-in-the-pool')
    expect(await reads(one, access, path)).toBe(200)

    await change(path, { password: 'another-password' })
    await synced(id)
    await expect(cognito.signIn(username, 'only-in-the-pool')).rejects.toThrow()
    await cognito.signIn(username, 'another-password')
    expect(await groupsOf(username)).toEqual(['readers'])
  })

  it('uses the directory’s password once the pool’s user is removed', async () => {
    const username = await adopted()
    const { path } = await makeUser('a-good-password', username)
    await cognito.admin.send(new AdminDeleteUserCommand(inPool(username)))
    await expect(cognito.signIn(username, 'only-in-the-pool')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
  })

  it('disables a user whom the directory blocks, whatever the password', async () => {
    const username = await adopted()
    const { path, id } = await makeUser('a-good-password', username)
    const { access } = await cognito.signIn(username, 'only-in-the-pool')
    await change(path, { status: 'BLOCKED' })
    await until('the token to be refused', async () => (await reads(one, access, path)) === 401, 1_000)
    await synced(id)
    expect((await poolUser(username))?.Enabled).toBe(false)
    await expect(cognito.signIn(username, 'only-in-the-pool')).rejects.toThrow('Sign-in is not possible.')
  })
})

describe('a username', () => {
  it('that was changed admits its user under the new name, in the same groups', async () => {
    const { path, username, id } = await makeUser()
    await cognito.signIn(username, 'a-good-password')
    await addToGroup(username, 'readers')
    const renamed = uniqueName('Grace')
    await change(path, { username: renamed })
    await synced(id)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(renamed, 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
    await synced(id)
    expect(await groupsOf(renamed)).toEqual(['readers'])
  })

  it('of an erased user admits its next owner, and not the former one', async () => {
    const former = await makeUser()
    await cognito.signIn(former.username, 'a-good-password')
    await addToGroup(former.username, 'admins')
    expect((await call(one, admin, 'DELETE', former.path)).status).toBe(204)
    const next = await makeUser('another-password', former.username)
    await synced(former.id)
    await expect(cognito.signIn(next.username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(next.username, 'another-password')
    expect(await reads(one, access, next.path)).toBe(200)
    expect(await groupsOf(next.username)).toEqual([])
  })
})

describe('the triggers', () => {
  const event = (
    triggerSource: string,
    userName: string | undefined,
    request: unknown = {},
    version = '1',
  ) => ({
    version,
    triggerSource,
    region: 'eu-west-1',
    userPoolId: cognito.poolId,
    userName,
    callerContext: { awsSdkVersion: 'aws-sdk-unknown-unknown', clientId: 'web' },
    request: { userAttributes: {}, ...(request as object) },
    response: {},
  })
  const sources = [
    'HostedAuth',
    'Authentication',
    'NewPasswordChallenge',
    'AuthenticateDevice',
    'RefreshTokens',
  ]

  it.each(sources)('admit active users, and refuse blocked and unknown ones (%s)', async (source) => {
    const { path, username } = await makeUser()
    const asked = event(`TokenGeneration_${source}`, username)
    expect(await triggers.invoke(asked)).toEqual(asked)
    await change(path, { status: 'BLOCKED' })
    await expect(triggers.invoke(asked)).rejects.toThrow('Sign-in is not possible.')
    for (const userName of [uniqueName(), '', 'no\u0000body', '\ud800', undefined])
      await expect(triggers.invoke({ ...asked, userName })).rejects.toThrow('Sign-in is not possible.')
  })

  it.each([
    ['1', 'claimsOverrideDetails'],
    ['2', 'claimsAndScopeOverrideDetails'],
    ['3', 'claimsAndScopeOverrideDetails'],
  ])('add remembered groups to those that the pool knows of (version %s)', async (version, place) => {
    const { id, username } = await makeUser()
    await cognito.signIn(username, 'a-good-password')
    await client.query('INSERT INTO pool_groups (user_id, groups) VALUES ($1, $2)', [id, ['readers', 'gone']])
    const request = {
      groupConfiguration: { groupsToOverride: ['staff'], iamRolesToOverride: [], preferredRole: null },
    }
    const asked = event('TokenGeneration_Authentication', username, request, version)
    expect(await triggers.invoke(asked)).toMatchObject({
      response: { [place]: { groupOverrideDetails: { groupsToOverride: ['staff', 'readers', 'gone'] } } },
    })
    // Afterwards the pool has the groups; a group that no longer exists is skipped.
    await synced(id)
    expect(await groupsOf(username)).toEqual(['readers'])
    expect(await triggers.invoke(asked)).toEqual(asked)
  })

  it('leave tokens of machines and forgotten passwords to the pool', async () => {
    for (const source of ['TokenGeneration_ClientCredentials', 'UserMigration_ForgotPassword']) {
      const asked = event(source, (await makeUser()).username)
      expect(await triggers.invoke(asked)).toEqual(asked)
    }
  })

  it('answer a migration in the form that Cognito requires', async () => {
    const { username } = await makeUser()
    const answer = await triggers.invoke(
      event('UserMigration_Authentication', username.toLowerCase(), { password: 'a-good-password' }),
    )
    expect(answer).toMatchObject({
      response: { userAttributes: { username }, finalUserStatus: 'CONFIRMED', messageAction: 'SUPPRESS' },
    })
  })

  it('distinguish the same names as the pool', async () => {
    const { username } = await makeUser('a-good-password', uniqueName('Strauß'))
    const asked = (name: string) =>
      triggers.invoke(event('UserMigration_Authentication', name, { password: 'a-good-password' }))
    await expect(asked(username.replace('ß', 'ss'))).rejects.toThrow('Incorrect username or password.')
    await asked(username.toLowerCase())
  })

  it('serve a user without groups, in every form of the pool’s event', async () => {
    const { username } = await makeUser()
    for (const groupConfiguration of [
      undefined,
      null,
      {},
      { groupsToOverride: null },
      { groupsToOverride: [] },
    ]) {
      const asked = event('TokenGeneration_Authentication', username, { groupConfiguration }, '2')
      expect(await triggers.invoke(asked)).toEqual(JSON.parse(JSON.stringify(asked)))
    }
  })

  it('admit no impossible name or password of any length', async () => {
    const { username } = await makeUser()
    const huge = 'x'.repeat(1_000_000)
    const refusal = /Incorrect username or password|Sign-in is not possible|not a trigger event/
    for (const password of ['', huge, '\u0000', '\ud800', undefined, null, 5, {}, ['a-good-password']])
      await expect(
        triggers.invoke(event('UserMigration_Authentication', username, { password })),
      ).rejects.toThrow(refusal)
    const request = { password: 'a-good-password' }
    for (const name of ['', huge, '\u0000', '\ud800', undefined, null, 5, {}, [username]])
      for (const source of ['UserMigration_Authentication', 'TokenGeneration_Authentication'])
        await expect(
          triggers.invoke({ ...event(source, username, request), userName: name }),
        ).rejects.toThrow(refusal)
    await triggers.invoke(event('TokenGeneration_Authentication', username))
  })

  it('admit no user while the database is unreachable, without the reason for clients or the user in the log', async () => {
    const said: string[] = []
    const away = await startFunction(
      join(functions, 'sign-in.js'),
      { ...env, NODE_ENV: 'production', DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
      (line) => said.push(line),
    )
    onTestFinished(away.close)
    const { username } = await makeUser()
    const request = { password: 'a-password-to-look-for' }
    await expect(away.invoke(event('UserMigration_Authentication', username, request))).rejects.toThrow(
      /^Incorrect username or password\.$/,
    )
    for (const source of ['Authentication', 'RefreshTokens'])
      await expect(away.invoke(event(`TokenGeneration_${source}`, username))).rejects.toThrow(
        /^Sign-in is not possible\.$/,
      )
    expect(said.filter((line) => line.includes('sign-in check failed'))).toHaveLength(3)
    expect(said.join()).not.toContain(username)
    expect(said.join()).not.toContain('a-password')
  })

  it.each([
    ['another trigger', event('PreSignUp_SignUp', 'ada'), /PreSignUp_SignUp/],
    ['an event of API Gateway', { httpMethod: 'GET', path: '/' }, /Cognito/],
    ['nothing', null, /Cognito/],
  ])('refuse %s with a clear error, and serve the next', async (_what, asked, message) => {
    await expect(triggers.invoke(asked)).rejects.toThrow(message)
    const { username } = await makeUser()
    await triggers.invoke(event('TokenGeneration_Authentication', username))
  })

  it('count sign-ins, and log no password', async () => {
    const { username } = await makeUser('a-password-to-look-for')
    await cognito.signIn(username, 'a-password-to-look-for')
    await refusalOf(uniqueName(), 'a-password-to-look-for')
    const counted = lines.map((line) => JSON.parse(line)).filter(({ message }) => message === 'sign-in')
    expect(counted.some(({ SignIns }) => SignIns === 1)).toBe(true)
    expect(counted.some(({ SignInsRefused }) => SignInsRefused === 1)).toBe(true)
    expect(lines.join()).not.toContain('a-password')
  })
})

describe('a process that crashes', () => {
  it('leaves its undelivered changes to the next one, at whichever point it crashes', async () => {
    // A separate directory, which no other process delivers.
    const own = { ...env, NODE_ENV: 'production', DATABASE_URL: await freshDatabase() }
    const database = new pg.Client({ connectionString: own.DATABASE_URL })
    await database.connect()
    onTestFinished(() => database.end())
    const dieAt = (
      hook: { on: 'onCall' | 'onDone'; of: typeof cognito | typeof bus },
      die: () => unknown,
    ) => {
      const { of, on } = hook
      // Once, so that the next process survives.
      of[on] = (what: string | BusEvent[]) => {
        if (!(typeof what === 'string' ? what.startsWith('AdminSetUserPassword') : isOfPassword(what))) return
        of[on] = () => {}
        die()
        if (on === 'onCall') throw new Error('the caller has died')
      }
    }
    const isOfPassword = (events: BusEvent[]) => events.some(({ Detail }) => Detail.includes('"password"'))
    const left = async () => (await database.query('SELECT event_id, pool_pending FROM outbox')).rows
    const deliverer = async () => {
      const deliver = await startFunction(join(functions, 'deliver.js'), own, () => {})
      onTestFinished(deliver.close)
      return deliver
    }
    /** Changes a password by a server that crashes while it calls the pool. */
    const changePassword = async (on: 'onCall' | 'onDone') => {
      const server = await start({ DATABASE_URL: own.DATABASE_URL })
      const body = { username: uniqueName(), password: 'a-good-password' }
      const { user } = await call(server, admin, 'POST', '/user', body)
      await until('the first event', async () => (await left()).length === 0)
      await cognito.admin.send(
        new AdminCreateUserCommand({ ...inPool(user.username), MessageAction: 'SUPPRESS' }),
      )
      dieAt({ of: cognito, on }, () => server.process.kill('SIGKILL'))
      const json = { password: 'another-password' }
      await expect(call(server, admin, 'PATCH', `/user/${user.id}`, json)).rejects.toThrow()
      expect(await left()).toMatchObject([{ pool_pending: true }])
      // The lease of a crashed process ends after half a minute.
      await becomeDue(database)
      return user.username
    }

    const first = await changePassword('onCall')
    const [event] = await left()
    for (const on of ['onCall', 'onDone'] as const) {
      const deliver = await deliverer()
      dieAt({ of: bus, on }, deliver.close)
      await expect(deliver.invoke({}, 60_000)).rejects.toThrow('the function has ended')
      expect(await left()).toHaveLength(1)
      await becomeDue(database)
    }
    const last = await deliverer()
    const finish = () =>
      until('the rest', async () => {
        const { pending } = (await last.invoke({}, 6_000)) as { pending: number }
        return pending === 0
      })
    await finish()
    const published = bus.events.filter(({ Detail }) => Detail.includes(event.event_id))
    expect(published.length).toBeGreaterThanOrEqual(2)
    expect(new Set(published.map(({ Detail }) => Detail)).size).toBe(1)

    const second = await changePassword('onDone')
    await finish()
    // Their passwords are no longer in memory, so the next sign-in migrates them again.
    for (const username of [first, second]) expect(await poolUser(username)).toBeUndefined()
  }, 60_000)
})
