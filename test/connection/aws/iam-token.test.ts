// Signed passwords equal those of AWS's own signer.
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { cacheToken, databaseToken } from '../../../src/connection/aws/iam-token.ts'
import { openRedisCache } from '../../../src/connection/cache/redis-cache.ts'
import { clientConfig } from '../../../src/connection/postgres/client.ts'
import { openPostgres } from '../../../src/connection/postgres/postgres.ts'
import { freshDatabase } from '../../support/database.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function asOnLambda(): void {
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY')
  vi.stubEnv('AWS_SESSION_TOKEN', 'a+b/c=')
}
afterEach(() => {
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

const parts = (token: string) => new Map(new URLSearchParams(token.slice(token.indexOf('?') + 1)).entries())

describe('a signed password', () => {
  it('for PostgreSQL equals that of @aws-sdk/rds-signer 3.1175.0', async () => {
    asOnLambda()
    vi.useFakeTimers({ now: Date.UTC(2026, 10, 24, 12), toFake: ['Date'] })
    const token = await databaseToken('proxy.example.com', 5432, 'directory')
    expect(token).toMatch(/^proxy\.example\.com:5432\/\?/)
    expect(parts(token)).toEqual(
      parts(
        'proxy.example.com:5432/?Action=connect&DBUser=directory&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261124%2Feu-west-1%2Frds-db%2Faws4_request&X-Amz-Date=20261124T120000Z&X-Amz-Expires=900&X-Amz-Security-Token=a%2Bb%2Fc%3D&X-Amz-Signature=ce3759069e5a96ecbf89927d85ab53d458ec72960e5989bf59334b61d2f1595a&X-Amz-SignedHeaders=host',
      ),
    )
  })

  it('reports missing settings', async () => {
    vi.stubEnv('AWS_REGION', '')
    await expect(cacheToken('cache', 'directory')).rejects.toThrow('AWS_REGION is required')
    vi.stubEnv('AWS_REGION', 'eu-west-1')
    vi.stubEnv('AWS_ACCESS_KEY_ID', '')
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
    await expect(cacheToken('cache', 'directory')).rejects.toThrow('no AWS credentials were found')
  })

  it('is signed with a container role if the environment has no keys', async () => {
    let isAuthorized = false
    const agent = createHttpServer((request, response) => {
      isAuthorized = request.headers.authorization === 'a-token'
      const Expiration = new Date(Date.now() + 3_600_000).toISOString()
      response.end(
        JSON.stringify({ AccessKeyId: 'AKIDCONTAINER', SecretAccessKey: 's', Token: 't', Expiration }),
      )
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void agent.close())
    await once(agent, 'listening')
    vi.stubEnv('AWS_REGION', 'eu-west-1')
    vi.stubEnv('AWS_ACCESS_KEY_ID', '')
    // As EKS and ECS give them.
    const { port } = agent.address() as AddressInfo
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', `http://127.0.0.1:${port}/credentials`)
    vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'a-token')
    for (const token of [
      await databaseToken('proxy.example.com', 5432, 'directory'),
      await cacheToken('cache', 'directory'),
    ])
      expect(parts(token).get('X-Amz-Credential')).toMatch(/^AKIDCONTAINER\//)
    expect(isAuthorized).toBe(true)
  })
})

describe('the URL', () => {
  it('of PostgreSQL requests it, over TLS', async () => {
    asOnLambda()
    const config = clientConfig('postgres://directory@proxy.example.com:6432/users?auth=iam')
    expect(config).toMatchObject({
      host: 'proxy.example.com',
      port: 6432,
      user: 'directory',
      database: 'users',
      ssl: true,
    })
    const { password } = config
    expect(typeof password === 'function' && (await password())).toContain('proxy.example.com:6432/?Action')
    expect(clientConfig('postgres://a:b@c/d')).toEqual({ connectionString: 'postgres://a:b@c/d' })
  })

  it('of Redis requests a new one for every connection', async () => {
    asOnLambda()
    let authentications: string[] = []
    let wake = () => {}
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        const text = bytes.toString()
        if (!text.toLowerCase().includes('auth')) return
        authentications.push(text)
        wake()
        socket.destroy()
      })
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((done) => server.once('listening', done))
    const { port } = server.address() as { port: number }
    const db = openPostgres(await freshDatabase(), quiet)
    onTestFinished(() => db.close())
    const cache = openRedisCache(`redis://directory@127.0.0.1:${port}?iam_cache=the-cache`, {
      db,
      logger: quiet,
    })
    onTestFinished(() => cache.close())
    const next = () =>
      new Promise<void>((done) => {
        wake = done
      })
    await next()
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDOTHER')
    authentications = []
    while (!authentications.some((text) => text.includes('AKIDOTHER'))) await next()
    expect(authentications.at(-1)).toContain('the-cache/?Action=connect&User=directory')
  })
})
