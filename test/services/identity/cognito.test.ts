// Signing in, as an app does it: two servers, a user pool whose triggers are the built function, and a network
// between the service and the pool that fails.
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
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
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
// The second tells the pool by way of a function, as functions within a network of their own do.
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

/** The first administrator: made by whoever may write to the database, known to the pool by signing in. */
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
  const { status, user } = await call(one, admin, 'POST', '/user', { username, password })
  expect(status).toBe(201)
  return { ...user, path: `/user/${user.id}` }
}
const reads = async (server: Run, token: string, path: string) =>
  (await call(server, token, 'GET', path)).status
const told = (userId: string) =>
  until('the pool to be told', async () => {
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
  it('signs in with the password from there and calls the API; blocked, is refused on every server', async () => {
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
    await told(id)
    expect((await poolUser(username))?.Enabled).toBe(false)
    expect(cognito.calls).toContain(`AdminUserGlobalSignOut ${username}`)

    await change(path, { status: 'ACTIVE' })
    // First, because cognito-local keeps the user as it read it before a sign-in, whatever changed meanwhile.
    await told(id)
    await until('the user to be let in again', async () => {
      const { access } = await cognito.signIn(username, 'a-good-password')
      return (await reads(one, access, path)) === 200
    })
    expect((await poolUser(username))?.Enabled).toBe(true)
  })

  it('is known to the pool by the name in the directory, however it was typed', async () => {
    const { path, username } = await makeUser()
    const { access } = await cognito.signIn(username.toUpperCase(), 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
    expect(decodeJwt(access).username).toBe(username)
  })

  it('has the own record whatever case the pool keeps the name in', async () => {
    const { path, username } = await makeUser()
    const kept = inPool(username.toLowerCase())
    await cognito.admin.send(new AdminCreateUserCommand({ ...kept, MessageAction: 'SUPPRESS' }))
    await cognito.admin.send(
      new AdminSetUserPasswordCommand({ ...kept, Password: 'a-good-password', Permanent: true }),
    )
    const { access } = await cognito.signIn(kept.Username, 'a-good-password')
    for (const server of [one, other]) expect(await reads(server, access, path)).toBe(200)
  })

  it('cannot be told from nobody by a wrong password or a block', async () => {
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
  ])(
    'counts at once, the old one and its tokens do not, and the groups are kept (%s)',
    async (_way, server) => {
      const { path, username } = await makeUser()
      const before = await cognito.signIn(username, 'a-good-password')
      for (const server of [one, other])
        for (const token of [before.access, before.id]) expect(await reads(server, token, path)).toBe(200)
      await addToGroup(username, 'readers')
      await change(path, { password: 'another-password' }, server)
      const refused = async (server: Run) => {
        for (const token of [before.access, before.id])
          await until(
            'the token to be refused',
            async () => (await reads(server, token, path)) === 401,
            1_000,
          )
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
    },
  )

  it('counts also when the pool could not be told of it, and the old one in the meantime does not', async () => {
    const { path, username, id } = await makeUser()
    await cognito.signIn(username, 'a-good-password')
    await addToGroup(username, 'readers')
    await network.refuse()
    onTestFinished(network.pass)
    await change(path, { password: 'another-password' })
    // To the pool it is still the right one.
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow('Sign-in is not possible.')

    await network.pass()
    await becomeDue(client)
    await told(id)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    await cognito.signIn(username, 'another-password')
    await told(id)
    expect(await groupsOf(username)).toEqual(['readers'])
    const { access } = await cognito.signIn(username, 'another-password')
    expect(decodeJwt(access)['cognito:groups']).toEqual(['readers'])
    expect(await reads(other, access, path)).toBe(200)
  })
})

describe('what changes while the pool takes a user in', () => {
  /** Does something after the trigger has said yes, and before the pool makes the user. */
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

  it('a password: the old one does not come to stay there', async () => {
    const { path, username, id } = await makeUser()
    afterYes(() => change(path, { password: 'another-password' }))
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow(refusal)
    await told(id)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'another-password')
    expect(await reads(one, access, path)).toBe(200)
    // From then on nothing is left of it.
    await cognito.signIn(username, 'another-password')
    expect((await client.query('SELECT 1 FROM pending_user_migrations')).rowCount).toBe(0)
  })

  it('a name: the next owner is not who had it before', async () => {
    for (const end of [
      (path: string) => change(path, { username: uniqueName('Grace') }),
      (path: string) => call(one, admin, 'DELETE', path),
    ]) {
      const former = await makeUser()
      let next: Awaited<ReturnType<typeof makeUser>> | undefined
      afterYes(async () => {
        await end(former.path)
        await told(former.id)
        next = await makeUser('the-next-password', former.username)
      })
      await expect(cognito.signIn(former.username, 'a-good-password')).rejects.toThrow(refusal)
      await told(former.id)
      await expect(cognito.signIn(former.username, 'a-good-password')).rejects.toThrow()
      const { access } = await cognito.signIn(former.username, 'the-next-password')
      expect(await reads(one, access, next?.path ?? '')).toBe(200)
    }
  })

  it('a block: the user is not let in by an earlier password when it ends', async () => {
    const { path, username, id } = await makeUser()
    afterYes(() => change(path, { status: 'BLOCKED' }))
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow(refusal)
    await change(path, { status: 'ACTIVE' })
    await told(id)
    await cognito.signIn(username, 'a-good-password')
  })

  it('nothing: many first sign-ins at once leave one user, who is let in', async () => {
    const { path, username, id } = await makeUser()
    const tries = await Promise.allSettled(
      Array.from({ length: 5 }, () => cognito.signIn(username, 'a-good-password')),
    )
    expect(tries.some(({ status }) => status === 'fulfilled')).toBe(true)
    const { access } = await cognito.signIn(username, 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
    await told(id)
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

  it('lets nobody in who is not in the directory', async () => {
    await expect(cognito.signIn(await adopted(), 'only-in-the-pool')).rejects.toThrow(
      'Sign-in is not possible.',
    )
  })

  it('goes on with its own password until that is changed here; the directory is not asked', async () => {
    const username = await adopted()
    const { path, id } = await makeUser('a-good-password', username)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'only-in-the-pool')
    expect(await reads(one, access, path)).toBe(200)

    await change(path, { password: 'another-password' })
    await told(id)
    await expect(cognito.signIn(username, 'only-in-the-pool')).rejects.toThrow()
    await cognito.signIn(username, 'another-password')
    expect(await groupsOf(username)).toEqual(['readers'])
  })

  it('comes to the directory’s password at once where the pool’s user is removed', async () => {
    const username = await adopted()
    const { path } = await makeUser('a-good-password', username)
    await cognito.admin.send(new AdminDeleteUserCommand(inPool(username)))
    await expect(cognito.signIn(username, 'only-in-the-pool')).rejects.toThrow()
    const { access } = await cognito.signIn(username, 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
  })

  it('has a user who is blocked here disabled there, whatever the password', async () => {
    const username = await adopted()
    const { path, id } = await makeUser('a-good-password', username)
    const { access } = await cognito.signIn(username, 'only-in-the-pool')
    await change(path, { status: 'BLOCKED' })
    await until('the token to be refused', async () => (await reads(one, access, path)) === 401, 1_000)
    await told(id)
    expect((await poolUser(username))?.Enabled).toBe(false)
    await expect(cognito.signIn(username, 'only-in-the-pool')).rejects.toThrow('Sign-in is not possible.')
  })
})

describe('a username', () => {
  it('that was changed lets its user in under the new one, in the same groups', async () => {
    const { path, username, id } = await makeUser()
    await cognito.signIn(username, 'a-good-password')
    await addToGroup(username, 'readers')
    const renamed = uniqueName('Grace')
    await change(path, { username: renamed })
    await told(id)
    await expect(cognito.signIn(username, 'a-good-password')).rejects.toThrow()
    const { access } = await cognito.signIn(renamed, 'a-good-password')
    expect(await reads(one, access, path)).toBe(200)
    await told(id)
    expect(await groupsOf(renamed)).toEqual(['readers'])
  })

  it('of somebody who was erased lets the next owner in, and the former one not', async () => {
    const former = await makeUser()
    await cognito.signIn(former.username, 'a-good-password')
    await addToGroup(former.username, 'admins')
    expect((await call(one, admin, 'DELETE', former.path)).status).toBe(204)
    const next = await makeUser('another-password', former.username)
    await told(former.id)
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

  it.each(sources)('let in who is active, and refuse who is blocked or unknown (%s)', async (source) => {
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
    // From now on the pool knows; one that it has no more is passed over.
    await told(id)
    expect(await groupsOf(username)).toEqual(['readers'])
    expect(await triggers.invoke(asked)).toEqual(asked)
  })

  it('leave machines’ tokens and forgotten passwords to the pool', async () => {
    for (const source of ['TokenGeneration_ClientCredentials', 'UserMigration_ForgotPassword']) {
      const asked = event(source, (await makeUser()).username)
      expect(await triggers.invoke(asked)).toEqual(asked)
    }
  })

  it('bring a user in as Cognito asks for it', async () => {
    const { username } = await makeUser()
    const answer = await triggers.invoke(
      event('UserMigration_Authentication', username.toLowerCase(), { password: 'a-good-password' }),
    )
    expect(answer).toMatchObject({
      response: { userAttributes: { username }, finalUserStatus: 'CONFIRMED', messageAction: 'SUPPRESS' },
    })
  })

  it('take no name for another that the pool would not', async () => {
    const { username } = await makeUser('a-good-password', uniqueName('Strauß'))
    const asked = (name: string) =>
      triggers.invoke(event('UserMigration_Authentication', name, { password: 'a-good-password' }))
    await expect(asked(username.replace('ß', 'ss'))).rejects.toThrow('Incorrect username or password.')
    await asked(username.toLowerCase())
  })

  it('serve a user without groups, however the pool says that', async () => {
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

  it('let nobody in by what is no name or no password, nor by very much of it', async () => {
    const { username } = await makeUser()
    const huge = 'x'.repeat(1_000_000)
    const refusal = /Incorrect username or password|Sign-in is not possible|this is none/
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

  it('let nobody in while the database is away, and tell no client why, nor the log who', async () => {
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
    expect(said.filter((line) => line.includes('a sign-in could not be checked'))).toHaveLength(3)
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

describe('a process that dies', () => {
  it('leaves what it had to tell to the next one, at whatever point', async () => {
    // A directory of its own, where nobody else delivers.
    const own = { ...env, NODE_ENV: 'production', DATABASE_URL: await freshDatabase() }
    const database = new pg.Client({ connectionString: own.DATABASE_URL })
    await database.connect()
    onTestFinished(() => database.end())
    const dieAt = (
      hook: { on: 'onCall' | 'onDone'; of: typeof cognito | typeof bus },
      die: () => unknown,
    ) => {
      const { of, on } = hook
      // Once: whoever comes next lives.
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
    /** A change of password by a server that dies while it tells the pool. */
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
      // What a dead process has claimed is free again half a minute later.
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
    // Nobody knew their passwords any more: they come in anew.
    for (const username of [first, second]) expect(await poolUser(username)).toBeUndefined()
  }, 60_000)
})
