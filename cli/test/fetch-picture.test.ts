// Pictures from a real HTTPS server on this machine.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, expect, test } from 'vitest'
import { openPictureFetcher } from '../src/avatars/fetch-picture.ts'

const tls = 'test/support/tls'
const server = createServer({
  key: readFileSync(`${tls}/server-key.pem`),
  cert: readFileSync(`${tls}/server.pem`),
})
let connections = 0
server.on('connection', () => connections++)
let answer: (response: ServerResponse) => void
server.on('request', (_request, response: ServerResponse) => answer(response))
server.listen(0)
await once(server, 'listening')
const { port } = server.address() as AddressInfo
const ca = readFileSync(`${tls}/ca.pem`)
const open = (options: object = {}) => openPictureFetcher({ allowsPrivate: true, ca, ...options })
const fetcher = open()
afterAll(() => {
  fetcher.close()
  server.closeAllConnections()
  server.close()
})

const { signal } = new AbortController()
const url = `https://localhost:${port}/a.png`
const fetchIt = (then: typeof answer, { fetch } = fetcher) => {
  answer = then
  return fetch(url, signal)
}

test('the bytes arrive as they are', async () => {
  const bytes = await fetchIt((response) => response.end(Buffer.of(1, 2, 255)))
  expect(bytes).toEqual(new Uint8Array([1, 2, 255]))
})

test.each([
  'localhost',
  '127.0.0.1',
  '2130706433',
  '0x7f.1',
  '017700000001',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[64:ff9b::127.0.0.1]',
  '10.0.0.1',
  '169.254.169.254',
  '[fe80::1]',
])('https://%s is private, and no connection is made', async (host) => {
  const before = connections
  await expect(open({ allowsPrivate: false }).fetch(`https://${host}:${port}/`, signal)).rejects.toThrow(
    'has an address in a private network',
  )
  expect(connections).toBe(before)
})

test.each([
  `http://localhost:${port}/`,
  'file:///etc/passwd',
  'data:image/png;base64,AA==',
  'no address',
  '',
])('%j is no https address', async (address) => {
  await expect(fetcher.fetch(address, signal)).rejects.toThrow('that begins with https://')
})

test('an address with a password is refused', async () => {
  await expect(fetcher.fetch(`https://a:b@localhost:${port}/`, signal)).rejects.toThrow('without a name')
})

test('a redirect is not followed', async () => {
  let requests = 0
  const redirect = fetchIt((response) => {
    requests++
    response.writeHead(302, { location: url }).end()
  })
  await expect(redirect).rejects.toThrow('redirects to another address')
  expect(requests).toBe(1)
})

test('a picture over the limit ends at its announced size, or as soon as it is exceeded', async () => {
  await expect(
    fetchIt((response) => response.writeHead(200, { 'content-length': 6_000_000 }).write('x')),
  ).rejects.toThrow('larger than 5 MB')
  let sent = 0
  const endless = (response: ServerResponse) => {
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(100_000))) sent += 100_000
    }
    response.on('drain', more)
    more()
  }
  await expect(fetchIt(endless)).rejects.toThrow('larger than 5 MB')
  expect(sent).toBeLessThan(30_000_000)
})

test('a server that answers slowly, or never, ends at the time limit', async () => {
  await expect(fetchIt(() => {}, open({ limitMs: 200 }))).rejects.toThrow('takes too long')
  await expect(
    fetchIt((response) => response.writeHead(200).write('x'), open({ limitMs: 200 })),
  ).rejects.toThrow('takes too long')
})

test('faults of the connection and other statuses are reasons', async () => {
  await expect(fetchIt((response) => response.writeHead(404).end())).rejects.toThrow('the status 404')
  await expect(fetchIt((response) => response.destroy())).rejects.toThrow('cannot be fetched (')
  const cut = fetchIt((response) => {
    response.writeHead(200, { 'content-length': 10 }).write('x', () => response.destroy())
  })
  await expect(cut).rejects.toThrow('cannot be fetched (')
  const strange = openPictureFetcher({ allowsPrivate: true }).fetch(url, signal)
  await expect(strange).rejects.toThrow(/cannot be fetched \(.*CERT|SIGNED|VERIFY/i)
  await expect(fetcher.fetch('https://no-such-host.invalid/', signal)).rejects.toThrow('cannot be fetched (')
})

test('an abort of the caller is thrown as it is', async () => {
  const stop = new AbortController()
  answer = () => stop.abort(new Error('stopped'))
  const fetching = fetcher.fetch(url, stop.signal)
  await expect(fetching).rejects.toThrow('stopped')
})
