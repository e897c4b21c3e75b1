// Uploads to a server process: in each form that clients send, and beside a caller with the most expensive images.

import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { startLoadedServer } from '../../support/loaded-server.ts'
import { jpegOfManyScans, png, pngOfOneColumn } from '../../support/picture.ts'
import { uniqueName } from '../../support/service.ts'

const { issuer, server, admin } = await startLoadedServer()

type Answer = { status: number; text: string; ms: number }
type Sent = { token?: string; body?: string | Uint8Array; type?: string; agent?: Agent }

function send(method: string, path: string, { token, body, type, agent }: Sent = {}): Promise<Answer> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(type !== undefined && { 'content-type': type }),
    }
    const outgoing = request(
      { port: server.port, method, path, headers, ...(agent && { agent }) },
      (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => (text += chunk))
        incoming.on('error', reject)
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, text, ms: performance.now() - startedAt }),
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** A user with a token, who may upload their own avatar. */
async function makeCaller(): Promise<{ path: string; token: string }> {
  const username = uniqueName()
  const body = JSON.stringify({ username, password: 'a-good-password' })
  const made = await send('POST', '/user', { token: admin, body, type: 'application/json' })
  expect(made.status).toBe(201)
  return { path: `/upload/${JSON.parse(made.text).id}`, token: await issuer.token({ username }) }
}

const picture = Buffer.from(await png())
const animation = await readFile('test/support/pictures/animated.avif')
const base64 = picture.toString('base64')
const form = (head: string, file: Buffer = picture) =>
  Buffer.concat([
    Buffer.from(`--b${head}; name="file"; filename="my \\"best\\" photo.png"\r\n\r\n`),
    file,
    Buffer.from('\r\n--b--\r\n'),
  ])
const disposition = 'Content-Disposition: form-data'
const multipart = 'multipart/form-data; boundary=b'

describe('an upload is accepted', () => {
  it.each<[string, string, string | Buffer]>([
    ['as a form with quotes in the filename', multipart, form(`\r\n${disposition}`)],
    ['as a form with padding after its delimiter', multipart, form(`  \r\n${disposition}`)],
    [
      'as a form whose file contains the delimiter',
      multipart,
      form(`\r\n${disposition}`, Buffer.concat([picture, Buffer.from('--b --b--\n--b')])),
    ],
    [
      'as JSON with a data URI that names its file',
      'application/json',
      JSON.stringify({ image_data: `data:image/png;name=my%20photo.png;base64,${base64}` }),
    ],
    [
      'as JSON with a data URI in upper case',
      'application/json',
      JSON.stringify({ image_data: `DATA:IMAGE/PNG;BASE64,${base64}` }),
    ],
    ['as an animated AVIF', 'image/avif', animation],
  ])('%s', async (_, type, body) => {
    const { path, token } = await makeCaller()
    const answer = await send('POST', path, { token, body, type })
    expect(answer.status, answer.text).toBe(200)
  })

  it('as an avatar of a user, by a data URI in upper case', async () => {
    const { path } = await makeCaller()
    const body = JSON.stringify({ avatar: `DATA:IMAGE/PNG;NAME=A;BASE64,${base64}` })
    const type = 'application/json'
    const answer = await send('PATCH', path.replace('upload', 'user'), { token: admin, body, type })
    expect(answer.status, answer.text).toBe(200)
  })
})

/** Polls the server's health during the work, and expects fast answers. */
async function whileHealthy<T>(work: () => Promise<T>): Promise<T> {
  const answers: Promise<Answer>[] = []
  const probe = setInterval(() => answers.push(send('GET', '/health')), 20)
  const result = await work().finally(() => clearInterval(probe))
  const all = await Promise.all(answers)
  expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]))
  const times = all.map(({ ms }) => ms).sort((a, b) => a - b)
  // The p99, because the machine may have other work.
  expect(times[Math.floor(times.length * 0.99) - 1] ?? 0).toBeLessThan(500)
  return result
}

describe('one caller cannot delay another', () => {
  it('with a form of 75,000 empty parts, or one column of 40 million pixels', async () => {
    const { path, token } = await makeCaller()
    const empty = Buffer.from(`--${'b'.repeat(57)}\r\n\r\n\r\n\r\n`)
    const parts = Buffer.alloc(75_000 * empty.length, empty)
    const type = `multipart/form-data; boundary=${'b'.repeat(57)}`
    const [form, column] = await whileHealthy(() =>
      Promise.all([
        send('POST', path, { token, body: parts, type }),
        send('POST', path, { token, body: pngOfOneColumn(40_000_000), type: 'image/png' }),
      ]),
    )
    expect(form.text).toContain('must have at most 20 parts')
    expect([form.status, column.status]).toEqual([400, 422])
    expect(Math.max(form.ms, column.ms)).toBeLessThan(2_000)
  })

  it('with the most expensive images, on 16 connections', async () => {
    const [attacker, victim] = [await makeCaller(), await makeCaller()]
    const upload = () => send('POST', victim.path, { token: victim.token, body: picture, type: 'image/png' })
    const uploads = async () => {
      const startedAt = performance.now()
      for (let turn = 0; turn < 20; turn++) expect((await upload()).status).toBe(200)
      return performance.now() - startedAt
    }
    await uploads()
    const calmMs = await uploads()

    // 90 KB that take ten seconds of processor time.
    const body = jpegOfManyScans(200, 8_000, 5_000).subarray(0, -2)
    const agent = new Agent({ keepAlive: true, maxSockets: 16 })
    let isOver = false
    const attack = Array.from({ length: 16 }, async () => {
      while (!isOver)
        await send('POST', attacker.path, { token: attacker.token, body, type: 'image/jpeg', agent })
    })
    const attackedMs = await whileHealthy(async () => {
      await uploads()
      return uploads()
    })
    isOver = true
    agent.destroy()
    await Promise.allSettled(attack)
    // Half of the rate without load, and some seconds for other work on the machine.
    expect(attackedMs).toBeLessThan(2 * calmMs + 5_000)
  })
})
