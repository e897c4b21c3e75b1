// PostgreSQL out of reach: a quick and clear no, and recovery without a restart.
import { afterAll, describe, expect, it } from 'vitest'
import { freshDatabase } from './support/database.ts'
import { startProxy } from './support/proxy.ts'
import { startService } from './support/service.ts'
import { until } from './support/wait.ts'

const direct = new URL(await freshDatabase())
const proxy = await startProxy({ host: direct.hostname, port: Number(direct.port) })
afterAll(proxy.close)
const databaseUrl = Object.assign(new URL(direct), { port: String(proxy.port) }).href
const service = await startService({ databaseUrl })
const { call, makeUser } = service

describe.each([
  ['refuses connections', () => proxy.refuse()],
  ['hangs', async () => proxy.hang()],
])('a PostgreSQL that %s', (_how, fail) => {
  it('is 503 with Retry-After within two seconds on every route, and again 200 when it is back', async () => {
    const user = await makeUser()
    await fail()
    const requests = [
      ['GET', '/user'],
      ['GET', `/user/${user.id}`],
      ['POST', '/user', { username: 'x', password: 'long-enough' }],
      ['PUT', `/user/${user.id}`, { username: user.username }],
      ['PATCH', `/user/${user.id}`, { name: 'x' }],
      ['DELETE', `/user/${user.id}`],
    ] as const
    // More at once than there are connections: those that wait for one must not wait in vain.
    const startedAt = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => requests)
        .flat()
        .map(([method, path, json]) => call(method, path, { json })),
    )
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    for (const { status, headers, body } of answers) {
      expect([status, headers.get('retry-after')]).toEqual([503, '1'])
      expect(body).toMatchObject({
        type: 'urn:problem:unavailable',
        detail: expect.stringContaining('database'),
      })
    }

    const health = await call<{ status: string }>('GET', '/health')
    const ready = await call<{ dependencies: object }>('GET', '/ready')
    expect([health.status, ready.status]).toEqual([200, 503])
    expect(ready.body.dependencies).toEqual({ database: 'down', cache: 'up', avatars: 'up' })

    await proxy.pass()
    await until('the service to recover', async () => (await call('GET', `/user/${user.id}`)).status === 200)
    expect((await call('PATCH', `/user/${user.id}`, { json: { name: 'after' } })).body.version).toBe(2)
    expect((await call('GET', '/ready')).status).toBe(200)
  })
})
