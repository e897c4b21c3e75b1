// The services of compose.yaml that run the image, with its settings, on the tests' PostgreSQL, Redis and S3.
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { expect, inject, it } from 'vitest'
import { parse } from 'yaml'
import { emptyDatabase } from '../support/database.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/wait.ts'
import { runContainer, started } from './container.ts'

type Service = {
  environment: Record<string, string>
  entrypoint?: string[]
  command?: string[]
  tmpfs?: string[]
}

const { services } = parse(readFileSync('compose.yaml', 'utf8'), { merge: true }) as {
  services: Record<'migrate' | 'local-server' | 'local', Service>
}
const image = inject('image')
const port = await freePort()
/** The addresses of the machine's parts in place of the services' names. */
const parts = {
  DATABASE_URL: await emptyDatabase(),
  REDIS_URL: inject('redisUrl'),
  ...inject('s3Env'),
}

function settingsOf({ environment }: Service): Record<string, string> {
  const own = Object.entries(environment).map(([name, value]) => [name, interpolated(String(value))])
  return { ...Object.fromEntries(own), ...(environment.DATABASE_URL !== undefined && parts) }
}

/** Replaces the file's variables, innermost first. */
function interpolated(text: string): string {
  const next = text.replace(/\$\{(\w+):-([^${}]*)\}/g, (_, name, other) => (name === 'PORT' ? port : other))
  return next === text ? text : interpolated(next)
}

it('migrates, serves with the local issuer on loopback only, and passes connections on to it', async () => {
  const { migrate, 'local-server': serving, local } = services
  const migration = await runContainer(image, settingsOf(migrate), { command: migrate.command ?? [] })
  expect([await migration.exit, migration.output()]).toEqual([0, expect.stringContaining('up to date')])

  const server = await runContainer(image, settingsOf(serving), { tmpfs: serving.tmpfs ?? [] })
  await started(server)
  const token = /^TOKEN=(\S+)$/m.exec(server.output())?.[1]
  const address = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address
  if (address !== undefined)
    await expect(fetch(`http://${address}:${port}/health`)).rejects.toThrow('fetch failed')

  // Both share the machine's network here, so the proof moves the port that the file gives to `local`.
  const passedPort = await freePort()
  const entrypoint =
    local.entrypoint?.map((part) => part.replace('listen(8080)', `listen(${passedPort})`)) ?? []
  const passing = await runContainer(
    image,
    { ...settingsOf(local), PORT: String(passedPort) },
    { entrypoint, command: [] },
  )
  const url = `http://localhost:${passedPort}`
  await until(
    'the port',
    () =>
      fetch(`${url}/health`)
        .then(({ ok }) => ok)
        .catch(() => false),
    30_000,
  )
  const users = await fetch(`${url}/user`, { headers: { authorization: `Bearer ${token}` } })
  expect([users.status, await users.json()]).toEqual([200, expect.objectContaining({ items: [] })])
  expect((await fetch(`${url}/user`)).status).toBe(401)
  expect(await passing.exec(image.config.Healthcheck.Test.slice(1))).toEqual({ code: 0, output: '' })

  await server.signal('TERM')
  expect(await server.exit).toBe(0)
  expect((await passing.exec(image.config.Healthcheck.Test.slice(1))).code).toBe(1)
  await passing.signal('TERM')
  expect(await passing.exit).toBe(0)
})
