// Limits on request bodies: their speed, and the memory that one caller can use. On a real server process.

import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { User } from '../../../src/model/user.ts'
import { startLoadedServer } from '../../support/loaded-server.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { issuer, server, admin } = await startLoadedServer()

async function send(method: string, path: string, token: string, body?: unknown): Promise<Response> {
  return fetch(server.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
}

/** A new user with a token. */
async function makeUser(): Promise<User & { path: string; token: string }> {
  const username = uniqueName()
  const made = await send('POST', '/user', admin, { username, password: null })
  expect(made.status).toBe(201)
  const user = (await made.json()) as User
  return { ...user, path: `/user/${user.id}`, token: await issuer.token({ username }) }
}

const bodyBytesMax = 8 * 1024 * 1024
const whiteSpace = Buffer.alloc(bodyBytesMax, ' ')

type Upload = {
  socket: Socket
  /** White space. */
  write(bytes: number): void
  sent(): number
  /** The bytes received so far. */
  answer(): string
  status(): number | undefined
  /** Milliseconds from the start to the end; undefined while the connection is open. */
  closedAfter(): number | undefined
}

/** Starts a PATCH of the user's own record without its body. */
function beginPatch(user: { path: string; token: string }, length: number | 'chunked'): Upload {
  const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
  let answer = ''
  const startedAt = performance.now()
  let closedAfter: number | undefined
  let sent = 0
  socket.on('data', (text: string) => (answer += text)).on('error', () => {})
  socket.on('close', () => {
    closedAfter = performance.now() - startedAt
  })
  afterAll(() => void socket.destroy())
  const framing = length === 'chunked' ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`
  socket.write(
    `PATCH ${user.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.token}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`,
  )
  return {
    socket,
    sent: () => sent,
    write: (bytes) => {
      sent += bytes
      if (length === 'chunked') socket.write(`${bytes.toString(16)}\r\n${' '.repeat(bytes)}\r\n`)
      else socket.write(whiteSpace.subarray(0, bytes))
    },
    answer: () => answer,
    status: () => (answer === '' ? undefined : Number(answer.slice(9, 12))),
    closedAfter: () => closedAfter,
  }
}

// They run beside the attack below, because each takes ten or twenty seconds.
const slow: Record<string, Upload> = {}
let fast: Upload
let user: Awaited<ReturnType<typeof makeUser>>
let dripping: NodeJS.Timeout
beforeAll(async () => {
  user = await makeUser()
  const begin = (length: number | 'chunked') => beginPatch(user, length)
  slow['that does not start'] = begin(1_000)
  slow['whose last byte is missing'] = begin(4_000_000)
  slow['whose last byte is missing'].write(3_999_999)
  slow['that trickles'] = begin(1_000_000)
  slow['that trickles in chunks'] = begin('chunked')
  fast = beginPatch(user, 4_000_000)
  dripping = setInterval(() => {
    slow['that trickles']?.write(1)
    slow['that trickles in chunks']?.write(1)
    // 100 KB/s.
    fast.write(20_000)
  }, 200)
})
afterAll(() => clearInterval(dripping))

describe('callers with too many and too large bodies in flight', () => {
  it('use only their shares: others keep over half their write rate, and probes stay fast', async () => {
    const [attacker, dripper] = [await makeUser(), await makeUser()]
    const others = await Promise.all(Array.from({ length: 4 }, makeUser))
    const longName = 'x'.repeat(4 * 1024 * 1024)
    /** Measures others' writes for a while, one of them with several megabytes. */
    const measure = async (ms: number) => {
      let done = 0
      const probesMs: number[] = []
      const endsAt = performance.now() + ms
      const writers = others.map(async ({ path, token }) => {
        while (performance.now() < endsAt) {
          const answer = await send('PATCH', path, token, { name: `write ${done}` })
          expect(answer.status).toBe(200)
          await answer.body?.cancel()
          done++
        }
      })
      const prober = (async () => {
        while (performance.now() < endsAt) {
          const startedAt = performance.now()
          expect((await fetch(`${server.url}/health`)).status).toBe(200)
          probesMs.push(performance.now() - startedAt)
        }
      })()
      await Promise.all([...writers, prober])
      // Read completely, and rejected only for its content.
      const [other] = others
      const large = await send('PATCH', other?.path ?? '', other?.token ?? '', { name: longName })
      expect(large.status).toBe(400)
      const probeMs = probesMs.sort((a, b) => a - b)[Math.floor(probesMs.length / 2)]
      return { done, probeMs }
    }
    await measure(300)
    const calm = await measure(1_000)

    const uploads = Array.from({ length: 16 }, () => beginPatch(attacker, bodyBytesMax))
    for (const upload of uploads) upload.write(bodyBytesMax - 1)
    await until(
      'the excess to be rejected',
      () => uploads.filter(({ status }) => status() === 429).length >= 8,
    )
    // Another caller sends many small, chunked bodies that never end.
    const drips: Upload[] = []
    const undecided = () => drips.filter(({ status }) => status() === undefined)
    // A few at a time: of a burst, load shedding would reject a part, at once or while it waits.
    await until('two hundred small bodies to be under way', async () => {
      for (let missing = Math.min(10, 200 - undecided().length); missing > 0; missing--) {
        const drip = beginPatch(dripper, 'chunked')
        drip.write(1)
        drips.push(drip)
      }
      // A caller's requests are served in order, so those before have left their queue when this one is answered.
      const last = await send('GET', dripper.path, dripper.token)
      await last.body?.cancel()
      return last.status === 200 && undecided().length === 200
    })
    const held = () => uploads.filter(({ status }) => status() === undefined)
    await until('the bodies to be there', () => held().every(({ socket }) => socket.writableLength === 0))
    const attacked = await measure(1_000)
    expect(held().map(({ closedAfter }) => closedAfter())).toEqual(held().map(() => undefined))
    expect([7, 8]).toContain(held().length)
    expect(new Set(drips.map(({ status }) => status() ?? 429))).toEqual(new Set([429]))
    expect(undecided().length).toBeGreaterThan(150)

    // The memory of closed connections is free again.
    for (const { socket } of [...uploads, ...drips]) socket.destroy()
    await until('the attacker to be served again', async () => {
      const answer = await send('PATCH', attacker.path, attacker.token, { name: 'well' })
      return answer.status === 200
    })
    // Other work on the machine may have started or ended meanwhile.
    const after = await measure(1_000)
    expect(attacked.done).toBeGreaterThan(Math.min(calm.done, after.done) / 2)
    expect(attacked.probeMs).toBeLessThan(200)
  })
})

describe('a body', () => {
  it.each(['that does not start', 'whose last byte is missing', 'that trickles', 'that trickles in chunks'])(
    '%s is 408 within twenty seconds, and its connection is closed',
    async (name) => {
      const { status, answer, closedAfter } = slow[name] as Upload
      await until('its end', closedAfter, 25_000)
      expect(status()).toBe(408)
      expect(answer()).toMatch(/\r\nContent-Type: application\/problem\+json\r\n.*\r\nConnection: close\r\n/s)
      expect(answer()).toContain('"type":"urn:problem:timed-out"')
      expect(closedAfter()).toBeLessThan(22_000)
    },
  )

  it('at the speed of a poor mobile connection is accepted', async () => {
    clearInterval(dripping)
    expect(fast.status()).toBeUndefined()
    fast.socket.write('{"name":"slow"}'.padEnd(4_000_000 - fast.sent()))
    await until('the answer', () => fast.status() !== undefined)
    expect(fast.status()).toBe(200)
  })
})
