// Overload of a real server process: rejections, and the requests that are still served.
import { execFile } from 'node:child_process'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { avatarBytesMax } from '../../../src/model/user.ts'
import { startLoadedServer } from '../../support/loaded-server.ts'
import { png } from '../../support/picture.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { server, admin: token } = await startLoadedServer({ CORS_ORIGINS: 'https://office.example' })

type Answer = { status: number; headers: IncomingHttpHeaders; text: string }
type Client = (method: string, path: string, body?: string | Uint8Array, type?: string) => Promise<Answer>

/** A client with one keep-alive connection. */
function openClient(): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  afterAll(() => agent.destroy())
  return (method, path, body, type = 'application/json') =>
    new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token}`,
        origin: 'https://office.example',
        ...(body !== undefined && { 'content-type': type }),
      }
      const outgoing = request({ port: server.port, method, path, headers, agent }, (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => (text += chunk))
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
        )
      })
      outgoing.on('error', reject)
      outgoing.end(body)
    })
}

/** A client that takes less time than the server, so that few of them overload it. @returns reads the path */
function openReader(path: string): () => Promise<string> {
  const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
  afterAll(() => socket.destroy())
  let resolve = (_answer: string): void => {}
  let reject = (_error: Error): void => {}
  // An answer of this size arrives at once.
  socket.on('data', (answer: string) => resolve(answer)).on('error', (error) => reject(error))
  return () =>
    new Promise((...settle) => {
      ;[resolve, reject] = settle
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`)
    })
}

const newUser = () => JSON.stringify({ username: uniqueName(), password: 'a-good-password' })

async function makeUser(): Promise<string> {
  const { status, text } = await openClient()('POST', '/user', newUser())
  expect(status).toBe(201)
  return `/user/${(JSON.parse(text) as { id: string }).id}`
}

/** Expects one of these statuses, or a rejection with Retry-After. */
function expectServedOrRejected({ status, headers, text }: Answer, served: number[]): 'served' | 'rejected' {
  if (served.includes(status)) return 'served'
  // 503 on a machine so slow that a new connection to the database times out.
  expect(status, text).toBeOneOf([429, 503])
  expect(headers['content-type']).toBe('application/problem+json')
  expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  // Pages on other origins can read Retry-After.
  expect(headers['access-control-allow-origin']).toBe('https://office.example')
  expect(headers['access-control-expose-headers']).toContain('Retry-After')
  expect(JSON.parse(text)).toMatchObject({ status, request_id: headers['x-request-id'] })
  return 'rejected'
}

async function residentMegabytes(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(server.pid)])
  return Number(stdout) / 1_024
}

describe('requests from hundreds of clients without backoff', () => {
  it('are served or rejected with 429 and Retry-After; probes are served, and afterwards all requests', async () => {
    const user = await makeUser()
    const ask = openClient()
    const seen = { served: 0, rejected: 0 }
    let isOver = false
    const clients = Array.from({ length: 300 }, () => openReader(user))
    const before = await residentMegabytes()
    const crowd = Promise.all(
      clients.map(async (client) => {
        while (!isOver) {
          const answer = await client()
          if (answer.startsWith('HTTP/1.1 200 ')) seen.served++
          else {
            expect(answer).toMatch(/^HTTP\/1\.1 (429|503) .*\r\nRetry-After: [1-9]/s)
            seen.rejected++
          }
        }
      }),
    )
    const health = openClient()
    await until(
      'many to be rejected',
      async () => {
        expect((await health('GET', '/health')).status).toBe(200)
        expect((await health('GET', '/ready')).status).toBe(200)
        expectServedOrRejected(await ask('GET', user), [200])
        return seen.rejected > 1_000
      },
      60_000,
    )
    const during = await residentMegabytes()
    isOver = true
    await crowd
    expect(seen.served).toBeGreaterThan(0)
    expect(during - before).toBeLessThan(200)

    // A new connection, which is not paused.
    expect((await openClient()('GET', user)).status).toBe(200)
    await Promise.all(
      clients.map((client) =>
        until('each to be served again', async () => (await client()).startsWith('HTTP/1.1 200 ')),
      ),
    )
  }, 90_000)
})

describe('more passwords and images than the server can process within seconds', () => {
  it('are rejected at once beyond the limit, while reads are served and the others wait', async () => {
    const user = await makeUser()
    const picture = await png()
    const reader = openClient()
    let pending = 0
    let rejectedWhilePending = 0
    const send = async (served: number[], ...what: Parameters<Client>) => {
      pending++
      const outcome = expectServedOrRejected(await openClient()(...what), served)
      pending--
      if (outcome === 'rejected' && pending > 0) rejectedWhilePending++
      return outcome
    }
    const work = [
      ...Array.from({ length: 1_200 }, () => send([201], 'POST', '/user', newUser())),
      ...Array.from({ length: 80 }, () =>
        send([200], 'POST', user.replace('user', 'upload'), picture, 'image/png'),
      ),
    ]
    await until('the first to be rejected', () => rejectedWhilePending > 0)
    for (let read = 0; read < 100; read++)
      await until('a read to be answered', async () => {
        const answer = await reader('GET', user)
        return expectServedOrRejected(answer, [200]) === 'served'
      })
    expect(pending).toBeGreaterThan(0)
    const outcomes = await Promise.all(work)
    expect(outcomes.filter((outcome) => outcome === 'served').length).toBeGreaterThan(0)
    expect((await openClient()('POST', '/user', newUser())).status).toBe(201)
  }, 60_000)

  it('wait unread or are rejected when they are large, in bounded memory', async () => {
    const [user, image] = [await makeUser(), await png()]
    const upload = user.replace('user', 'upload')
    const large = new Uint8Array(avatarBytesMax)
    large.set(image)
    const before = await residentMegabytes()
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => openClient()('POST', upload, large, 'image/png')),
    )
    const outcomes = answers.map((answer) => expectServedOrRejected(answer, [200]))
    expect(outcomes).toContain('served')
    expect((await residentMegabytes()) - before).toBeLessThan(500)
    expect((await openClient()('POST', upload, large, 'image/png')).status).toBe(200)
  }, 60_000)
})
