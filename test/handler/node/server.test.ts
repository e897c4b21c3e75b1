// The Node server as a process: start, use and stop.
import { randomBytes } from 'node:crypto'
import { rm, stat, symlink } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { decodeJwt } from 'jose'
import pg from 'pg'
import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { buildServer } from '../../../tools/build-server.ts'
import { copyCluster } from '../../support/cluster-copy.ts'
import { copyFolder } from '../../support/copy-folder.ts'
import { freshDatabase } from '../../support/database.ts'
import { startIssuer, tokenSettings } from '../../support/issuer.ts'
import { png } from '../../support/picture.ts'
import { privateFolder, type Run, run, started } from '../../support/server-process.ts'
import { realServices, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

function get(server: Run, path: string, token: string): Promise<Response> {
  return fetch(server.url + path, { headers: { authorization: `Bearer ${token}` } })
}

async function totalOf(server: Run, token: string): Promise<number> {
  const list = await get(server, '/user?limit=1&count=exact', token)
  return ((await list.json()) as { total: number }).total
}

type List = { items: { username: string; avatar_url: string | null }[]; total: number }

/** Shared by tests that leave it running, because each start takes seconds. */
let running: { folder: string; server: Run; token: string }
/** Of another checkout, which one test may kill. */
let other: typeof running
/** The data after a first start and its end. */
let firstData: string
/** The first start of all, and the answers to requests that were in flight when it was stopped. */
let first: { server: Run; token: string; samples: List; late: Response[]; exitCode: number | null }

/** A folder in which a server has run before, because a first start takes longer than all others. */
async function usedFolder(): Promise<string> {
  const folder = await privateFolder()
  await copyFolder(firstData, join(folder, '.data'))
  return folder
}

/** A folder with an initialised PostgreSQL that has no users. */
async function emptyFolder(): Promise<string> {
  const folder = await privateFolder()
  await copyCluster(join(folder, '.data/postgres'))
  return folder
}

beforeAll(async () => {
  const folder = await emptyFolder()
  const server = await run(folder)
  const token = await started(server)
  const samples = (await (await get(server, '/user?count=exact&limit=200', token)).json()) as List
  // Few enough that even a slow machine hashes them within the time limit.
  const requests = Array.from({ length: 12 }, (_, at) =>
    fetch(`${server.url}/user`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ username: `late.${at}`, password: 'a-good-password' }),
    }),
  )
  // When one has been answered, all have arrived, and the others are being hashed.
  await Promise.race(requests)
  server.process.kill('SIGTERM')
  first = { server, token, samples, late: await Promise.all(requests), exitCode: await server.exit }
  firstData = join(await privateFolder(), 'data')
  await copyFolder(join(folder, '.data'), firstData)
  const otherFolder = await usedFolder()
  await rm(join(otherFolder, '.data/local-issuer-key.json'))
  const [again, beside] = [await run(folder, { PORT: String(server.port) }), await run(otherFolder)]
  running = { folder, server: again, token: await started(again) }
  other = { folder: otherFolder, server: beside, token: await started(beside) }
}, 180_000)

describe('the server with nothing configured', () => {
  it('creates sample users with avatars, prints a valid token, and keeps its data after a restart', async () => {
    expect(first.server.output()).toContain(`/user?limit=3'`)
    const { items, total } = first.samples
    expect(total).toBe(100)
    const pictured = items.filter(({ avatar_url }) => avatar_url)
    expect(pictured).toHaveLength(100)
    const avatar = await fetch(pictured[0]?.avatar_url ?? '')
    expect(Object.fromEntries(avatar.headers)).toMatchObject({
      'content-type': 'image/webp',
      'cache-control': 'public, max-age=31536000, immutable',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
    })
    // The first start's token is still valid, because the issuer's key is kept.
    for (const username of ['LATE.0', 'LATE.11', items[0]?.username ?? '']) {
      const found = await get(running.server, `/user?username=${username}&count=exact`, first.token)
      expect(((await found.json()) as List).total).toBe(1)
    }
  })

  it('does not start beside a running one, which it leaves alone', async () => {
    const { folder, server, token } = running
    const second = await run(folder)
    expect(await second.exit).toBe(1)
    expect(second.output()).toMatch(/already running/)
    expect((await get(server, '/user?limit=1', token)).status).toBe(200)
  })

  it('starts exactly once if two processes start at the same time', async () => {
    const folder = await emptyFolder()
    const both = await Promise.all([run(folder), run(folder)])
    const loser = await Promise.race(both.map((server) => server.exit.then(() => server)))
    expect(loser.output()).toMatch(/already running/)
    const winner = both.find((server) => server !== loser)
    expect(await started(winner as Run)).not.toBe('')
  })

  it('runs beside another checkout’s server', async () => {
    expect((await get(running.server, '/user?limit=1', running.token)).status).toBe(200)
    expect((await get(other.server, '/user?limit=1', other.token)).status).toBe(200)
    // Each checkout has its own issuer.
    expect((await get(running.server, '/user?limit=1', other.token)).status).toBe(401)
  })

  it('recovers the data of a killed server', async () => {
    other.server.process.kill('SIGKILL')
    await other.server.exit
    const second = await run(other.folder)
    const token = await started(second)
    expect((await get(second, '/user?limit=1', token)).status).toBe(200)
  })

  it('finishes the requests in flight when stopped', () => {
    expect(first.late.map(({ status }) => status)).toEqual(Array(12).fill(201))
    expect(first.exitCode).toBe(0)
  })

  it('serves the API reference as a page and as a document', async () => {
    const { server } = running
    const page = await fetch(`${server.url}/docs`)
    const html = await page.text()
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    // The page loads everything from this server.
    const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '')
    expect(parts.length).toBeGreaterThan(3)
    for (const part of parts) expect([part, (await fetch(server.url + part)).status]).toEqual([part, 200])
    const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      openapi: string
      paths: object
    }
    expect(document.openapi).toBe('3.1.0')
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(['/user', '/user/{id}', '/upload/{id}', '/import', '/export']),
    )
  })
})

describe('two servers on real PostgreSQL, Redis and S3, one of them from the build', () => {
  it('share all state: users, avatars and blocks of one apply to the other', async () => {
    const issuer = await startIssuer()
    onTestFinished(issuer.close)
    const env = {
      DATABASE_URL: await freshDatabase(),
      ...realServices(),
      AVATAR_BASE_URL: 'https://cdn.example.com/',
      ...tokenSettings(issuer.rules),
    }
    const folder = await privateFolder()
    // The second runs from the build after `npm ci`.
    const built = await privateFolder()
    await buildServer(built)
    await symlink(resolve('node_modules'), join(built, 'node_modules'))
    const [one, other] = [
      await run(folder, env),
      await run(built, env, join(built, 'src/handler/node/server.js')),
    ]
    await Promise.all([started(one), started(other)])
    const admin = await issuer.token({ username: 'admin', 'cognito:groups': ['admins'] })
    const send = async (server: Run, method: string, path: string, body?: unknown) => {
      const response = await fetch(server.url + path, {
        method,
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status: response.status, headers: response.headers, user: (await response.json()) as User }
    }
    const pixel =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='
    const username = uniqueName()
    const created = await send(one, 'POST', '/user', {
      username,
      password: 'a-good-password',
      avatar: `data:image/png;base64,${pixel}`,
    })
    expect(created.status).toBe(201)
    expect(created.user.avatar_url).toBe(`https://cdn.example.com/${created.user.avatar}`)
    const path = `/user/${created.user.id}`
    expect((await send(other, 'GET', path)).user).toEqual(created.user)
    expect((await send(one, 'GET', path)).headers.get('x-cache')).toBe('hit')
    const avatar = await fetch(`${other.url}/${created.user.avatar}`)
    expect([avatar.status, avatar.headers.get('content-type')]).toEqual([200, 'image/webp'])
    const picture = `data:image/png;base64,${Buffer.from(await png()).toString('base64')}`
    const changed = await send(other, 'PATCH', path, { avatar: picture, password: 'another-password' })
    expect(changed.status).toBe(200)
    expect((await fetch(`${one.url}/${changed.user.avatar}`)).status).toBe(200)
    expect((await fetch(`${other.url}/docs`)).status).toBe(200)

    // A token of the same second as the password change might have been issued before it.
    const token = await until('a token from after the change', async () => {
      const token = await issuer.token({ username })
      return (await get(one, path, token)).status === 200 ? token : undefined
    })
    expect((await get(other, path, token)).status).toBe(200)
    expect((await send(one, 'PATCH', path, { status: 'BLOCKED' })).status).toBe(200)
    expect((await send(other, 'GET', path)).user.status).toBe('BLOCKED')
    for (const server of [one, other])
      await until(
        'the blocked token to be rejected',
        async () => (await get(server, path, token)).status === 401,
        1_000,
      )
  })
})

describe('a failing start', () => {
  it('names a port in use, and stops what it had started', async () => {
    const folder = await usedFolder()
    const taken = createServer()
    await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
    onTestFinished(() => new Promise((done) => taken.close(() => done())))
    const { port } = taken.address() as AddressInfo
    const server = await run(folder, { PORT: String(port) })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain(`Port ${port} is in use`)
    await expect(stat(join(folder, '.data/postgres/data/postmaster.pid'))).rejects.toThrow('ENOENT')
  })

  it('names every invalid setting', async () => {
    const server = await run(await privateFolder(), {
      PORT: '99999',
      DATABASE_URL: 'mysql://root:secret@x/y',
      LOG_LEVEL: 'loud',
    })
    expect(await server.exit).toBe(1)
    for (const name of ['PORT', 'DATABASE_URL', 'LOG_LEVEL']) expect(server.output()).toContain(name)
    expect(server.output()).not.toContain('secret')
  })

  it('rejects the embedded parts in production by name', async () => {
    const server = await run(await privateFolder(), { NODE_ENV: 'production' })
    expect(await server.exit).toBe(1)
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'AVATAR_BUCKET', 'COGNITO_USER_POOL_ID'])
      expect(server.output()).toContain(name)
  })

  it('asks for a migration if the configured database has none, and never migrates by itself', async () => {
    const server = await run(await privateFolder(), { DATABASE_URL: inject('postgresUrl') })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('npm run migrate')
  })
})

describe('the commands', () => {
  it('migrate creates the schema of a configured database, can be repeated, and warns of slow searches', async () => {
    const admin = new pg.Client({ connectionString: inject('postgresUrl') })
    await admin.connect()
    const name = `test_${randomBytes(6).toString('hex')}`
    onTestFinished(async () => {
      await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      await admin.end()
    })
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 LC_CTYPE 'C'`)
    const url = Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}` }).href
    for (const round of [1, 2]) {
      const migrate = await run(await privateFolder(), { DATABASE_URL: url }, resolve('src/cli/migrate.ts'))
      expect([round, await migrate.exit]).toEqual([round, 0])
      expect(migrate.output()).toMatch(/The schema is up to date\..*LC_CTYPE/s)
    }
    const usual = await run(
      await privateFolder(),
      { DATABASE_URL: await freshDatabase() },
      resolve('src/cli/migrate.ts'),
    )
    await usual.exit
    expect(usual.output()).toBe('The schema is up to date.\n')
  })

  it('seed and token work beside a running server', async () => {
    const { folder, server } = running
    const before = await totalOf(server, running.token)
    const seed = await run(folder, { PORT: String(server.port) }, resolve('src/cli/seed.ts'), '20')
    expect(await seed.exit).toBe(0)
    expect(seed.output()).toContain('20 users')
    const token = await run(
      folder,
      { PORT: String(server.port) },
      resolve('src/cli/token.ts'),
      '--group',
      'readers',
    )
    expect(await token.exit).toBe(0)
    expect(await totalOf(server, token.output().trim())).toBe(before + 20)
  })

  it.each([
    ['--group', 'admin', 'admins or readers'],
    ['--group', '', 'admins or readers'],
    ['--scope', 'users/write users/erase', 'users/write or users/read'],
  ])(
    'token rejects unknown groups and scopes, and lists the known ones (%s %s)',
    async (option, name, known) => {
      // A known one beside it does not help.
      const more = option === '--group' ? ['--group', 'readers'] : []
      const token = await run(await privateFolder(), {}, resolve('src/cli/token.ts'), option, name, ...more)
      expect(await token.exit).toBe(1)
      expect(token.output()).toContain(`which is unknown. Use ${known}.`)
      expect(token.output()).not.toContain('eyJ')
    },
  )

  it('token creates machine tokens with several scopes', async () => {
    const scopes = 'users/read users/write'
    const token = await run(await privateFolder(), {}, resolve('src/cli/token.ts'), '--scope', scopes)
    expect(await token.exit).toBe(0)
    expect(decodeJwt(token.output().trim())).toMatchObject({ scope: scopes })
  })

  it('refresh works beside a running server, and prints its findings', async () => {
    const { folder, server } = running
    const refresh = await run(folder, { PORT: String(server.port) }, resolve('src/cli/refresh.ts'))
    expect(await refresh.exit).toBe(0)
    expect(JSON.parse(refresh.output().trim())).toMatchObject({
      message: 'revalidation',
      Finished: 1,
      Orphans: 0,
    })
    const rejected = await run(folder, {}, resolve('src/cli/refresh.ts'), '--minutes', 'x')
    expect(await rejected.exit).toBe(1)
    expect(rejected.output()).toContain('--minutes')
  })

  it('seed works without a server, and rejects anything but a number', async () => {
    const folder = await emptyFolder()
    const seed = await run(folder, {}, resolve('src/cli/seed.ts'), '3')
    expect(await seed.exit).toBe(0)
    await expect(stat(join(folder, '.data/postgres/data/postmaster.pid'))).rejects.toThrow('ENOENT')
    const wrong = await run(folder, {}, resolve('src/cli/seed.ts'), '-3')
    expect([await wrong.exit, wrong.output()]).toEqual([1, expect.stringContaining('The number of users')])
  })
})
