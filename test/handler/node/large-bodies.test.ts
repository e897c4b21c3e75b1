// Large bodies: how many of one caller are read at once, and how the rest of a rejected one is discarded. On a real
// server process.
import { connect, type Socket } from 'node:net'
import { afterAll, describe, expect, it } from 'vitest'
import { startLoadedServer } from '../../support/loaded-server.ts'
import { png } from '../../support/picture.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const { issuer, server } = await startLoadedServer()
const image = Buffer.concat([await png(), Buffer.alloc(256 * 1024)])

/** Sends one upload first, because later ones could overtake those that wait for the token's first check. */
async function caller(): Promise<string> {
  const token = await issuer.token({ username: uniqueName(), 'cognito:groups': ['admins'] })
  const upload = beginUpload(token)
  await until('the first upload to be answered', () => first(upload) === 404)
  return token
}

type Upload = { socket: Socket; answers(): number[]; isClosed(): boolean }

/** Sends the head of an upload for an unknown user, and the image without its last bytes. */
function beginUpload(token: string, { missing = 0, isChunked = false } = {}): Upload {
  const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
  let answer = ''
  let isClosed = false
  socket.on('data', (text: string) => (answer += text)).on('error', () => {})
  socket.on('close', () => {
    isClosed = true
  })
  afterAll(() => void socket.destroy())
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${image.length}`
  socket.write(
    `POST /upload/0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: image/png\r\n${framing}\r\n\r\n`,
  )
  if (isChunked) socket.write(`${image.length.toString(16)}\r\n`)
  socket.write(image.subarray(0, image.length - missing))
  if (isChunked && missing === 0) socket.write('\r\n0\r\n\r\n')
  const statuses = () => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
  return { socket, answers: statuses, isClosed: () => isClosed }
}

const first = ({ answers }: Upload) => answers()[0]
const warm = beginUpload('no-token')

describe('large bodies of one caller', () => {
  it.each([false, true])(
    'wait unread behind eight others, then are read in turn (chunked: %s)',
    async (isChunked) => {
      const [attacker, other] = [await caller(), await caller()]
      const held = Array.from({ length: 8 }, () => beginUpload(attacker, { missing: 1 }))
      await until('the eight to be sent', () => held.every(({ socket }) => socket.writableLength === 0))
      const waiting = beginUpload(attacker, { isChunked })
      // Another caller is served meanwhile.
      const others = beginUpload(other, { isChunked })
      await until('the other caller to be answered', () => first(others) === 404)
      expect(first(waiting)).toBeUndefined()
      held[0]?.socket.write('x')
      await until('the waiting one to be answered', () => first(waiting) === 404)
      expect(held.slice(1).map(first)).toEqual(held.slice(1).map(() => undefined))
    },
  )

  it('are 429 after five seconds of waiting, and their turns go to later ones', async () => {
    const token = await caller()
    const held = Array.from({ length: 8 }, () => beginUpload(token, { missing: 1 }))
    const late = [beginUpload(token), beginUpload(token, { isChunked: true })]
    await until('the late ones to be rejected', () => late.every((upload) => first(upload) === 429), 15_000)
    for (const { socket } of held) socket.destroy()
    const next = Array.from({ length: 16 }, () => beginUpload(token))
    await until('all later ones to be answered', () => next.every((upload) => first(upload) === 404))
  })

  it('give up their turns when their clients disconnect', async () => {
    const token = await caller()
    for (let round = 0; round < 3; round++) {
      const gone = Array.from({ length: 12 }, (_, at) =>
        beginUpload(token, { missing: 1, isChunked: at % 2 === 0 }),
      )
      await until('their bytes to be sent', () =>
        gone.slice(0, 8).every(({ socket }) => socket.writableLength === 0),
      )
      for (const { socket } of gone) socket.destroy()
    }
    const next = beginUpload(token)
    await until('the next to be answered', () => first(next) === 404)
  })
})

describe('rejected bodies that are still arriving', () => {
  it('are discarded at 64 MB a second in all at most, whoever sends them', async () => {
    // Warms up, so that the first discard counts from its start.
    await until('an answer', () => first(warm) === 401)
    const startedAt = performance.now()
    const count = 64
    const uploads = Array.from({ length: count }, () => beginUpload('no-token'))
    await until('all answers', () => uploads.every((upload) => first(upload) === 401), 60_000)
    for (const { socket } of uploads) socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    // The next request is read after the rest of the body. A slow machine only makes it later.
    await until(
      'all to be read',
      () => uploads.every(({ answers, isClosed }) => isClosed() || answers()[1] === 200),
      60_000,
    )
    expect(performance.now() - startedAt).toBeGreaterThan((count * image.length) / 64_000 / 2)
  })

  it('do not keep their clients from reading the answer and sending the next request', async () => {
    const uploads = Array.from({ length: 64 }, () => beginUpload('no-token'))
    await until('all answers', () => uploads.every((upload) => first(upload) === 401))
    for (const { socket } of uploads) socket.write('GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
    await until('all next answers', () => uploads.every(({ answers }) => answers()[1] === 200))
    expect(uploads.map(({ isClosed }) => isClosed())).toEqual(uploads.map(() => false))
  })
})
