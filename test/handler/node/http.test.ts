// HTTP/1.1 (RFC 9112): hosts, and requests that Node's parser rejects. Every rejection is a problem document.
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLocalIssuer } from '../../../src/connection/tokens/local-issuer.ts'
import { openTokenVerifier } from '../../../src/connection/tokens/token-verifier.ts'
import { startNodeServer } from '../../../src/handler/node/http-server.ts'
import { createTokenPolicy } from '../../../src/services/identity/token-policy.ts'
import { atEnd } from '../../support/cleanup.ts'
import { exchangeRaw } from '../../support/raw.ts'
import { startService } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const host = 'Host: directory.example'
const get = (target: string, ...lines: string[]) => `GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
const post = (framing: string, rest: string) =>
  `POST /user HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${service.tokens.admin}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n${rest}`

type Answer = { status: number; headers: Headers; body: string }

/** @returns all answers on the connection, in order */
function readAnswers(text: string): Answer[] {
  const answers: Answer[] = []
  for (let rest = text; rest !== ''; ) {
    const [, status, lines = ''] = /^HTTP\/1\.1 (\d{3}) .*?\r\n(.*?)\r\n\r\n/s.exec(rest) ?? []
    const headers = new Headers(
      lines.split('\r\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]),
    )
    const start = rest.indexOf('\r\n\r\n') + 4
    const end = start + Number(headers.get('content-length'))
    answers.push({ status: Number(status), headers, body: rest.slice(start, end) })
    rest = rest.slice(end)
  }
  return answers
}

/** Sends an invalid request, and expects one answer and one line in the log. */
async function expectRejection(text: string, expected: number, base = service.url): Promise<void> {
  const answers = readAnswers(await exchangeRaw(base, text))
  const told = text.slice(0, 80)
  expect(
    answers.map(({ status }) => status),
    told,
  ).toEqual([expected])
  const [{ headers, body }] = answers as [Answer]
  expect(headers.get('content-type'), told).toBe('application/problem+json')
  const problem = JSON.parse(body)
  expect(problem, told).toMatchObject({ status: expected, request_id: headers.get('x-request-id') })
  expect(problem.detail.length).toBeGreaterThan(20)
  await until('the line', () =>
    service.log.some(({ fields }) => fields.request_id === problem.request_id && fields.status === expected),
  )
}

// They take ten seconds, so they run beside the other tests.
const startedAt = performance.now()
const rejected = expectRejection(`GET /user HTTP/1.1\r\n${host}\r\n`, 408)
const late = {
  rejected,
  tookMs: rejected.then(() => performance.now() - startedAt),
  idle: exchangeRaw(service.url, ''),
}

describe('the Host header', () => {
  it.each([
    ['is missing', []],
    ['comes twice', [host, 'Host: other.example']],
    ['comes twice with the same value', [host, host]],
    ['has a path', ['Host: directory.example/x']],
    ['has a user', ['Host: user@directory.example']],
    ['has a space', ['Host: a b']],
    ['has a malformed port', ['Host: directory.example:x']],
    ['is not ASCII', ['Host: b\u00fccher.example']],
  ])('that %s is rejected', async (_what, lines) => {
    await expectRejection(get('/health', ...lines, 'Connection: close'), 400)
    await expectRejection(get('http://directory.example/health', ...lines, 'Connection: close'), 400)
  })

  it.each([
    'directory.example',
    'directory.example:3000',
    '10.0.0.1',
    '[::1]:3000',
    '[fd00::1]',
    'a_b',
    '%41',
    '',
  ])('%j is accepted, because a load balancer may use any', async (name) => {
    const text = await exchangeRaw(service.url, get('/health', `Host: ${name}`, 'Connection: close'))
    expect(readAnswers(text).map(({ status }) => status)).toEqual([200])
  })

  it('is optional in HTTP/1.0; versions other than 1.x are rejected', async () => {
    const text = await exchangeRaw(service.url, 'GET /health HTTP/1.0\r\n\r\n')
    expect(readAnswers(text).map(({ status }) => status)).toEqual([200])
    for (const line of ['GET /health HTTP/2.0\r\n', 'GET /health\r\n'])
      await expectRejection(`${line}${host}\r\nConnection: close\r\n\r\n`, 505)
  })
})

describe('a server with the local issuer', async () => {
  const issuer = await openLocalIssuer(await mkdtemp(join(tmpdir(), 'user-directory-test-')), 3_000)
  const server = await startNodeServer(
    service.connections,
    openTokenVerifier(createTokenPolicy(issuer.rules)),
    {
      port: 0,
      host: '127.0.0.1',
      localIssuer: issuer,
    },
  )
  atEnd(server.close)
  const url = `http://127.0.0.1:${server.port}`
  const paths = ['/health', '/docs', '/local-issuer/.well-known/jwks.json', '/user', '/none']

  it.each([
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '0.0.0.0',
    '127.1',
    '',
  ])('rejects the host %j on every route, against DNS rebinding', async (name) => {
    for (const path of paths) await expectRejection(get(path, `Host: ${name}`, 'Connection: close'), 421, url)
    await expectRejection(get(`http://evil.example/health`, 'Host: localhost', 'Connection: close'), 421, url)
  })

  it.each(['localhost', 'LOCALHOST:3000', '127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:3000'])(
    'accepts the host %s',
    async (name) => {
      for (const target of ['/health', `http://${name}/health`]) {
        const text = await exchangeRaw(url, get(target, `Host: ${name}`, 'Connection: close'))
        expect(readAnswers(text).map(({ status }) => status)).toEqual([200])
      }
    },
  )
})

describe('a request that the parser rejects', () => {
  it.each([
    ['a URL that is too long', 414, get(`/${'a'.repeat(20_000)}`, host)],
    ['a URL of a megabyte', 414, get(`/${'a'.repeat(1_000_000)}`, host)],
    ['a header that is too long', 431, get('/user', host, `X: ${'a'.repeat(20_000)}`)],
    ['a header of a megabyte', 431, get('/user', host, `X: ${'a'.repeat(1_000_000)}`)],
    ['too many headers', 431, get('/user', host, ...Array<string>(4_000).fill('X: y'))],
    ['raw UTF-8 in the URL', 400, Buffer.from(get('/user?search=M\u00fcller', host)).toString('latin1')],
    ['raw Latin-1 in the URL', 400, get('/user?search=M\u00fcller', host)],
    ['a space in the URL', 400, get('/user?search=a b', host)],
    ['a control character in a header', 400, get('/user', host, 'X: a\0b')],
    ['a folded header', 400, get('/user', host, 'X: a\r\n b')],
    ['a space before a colon', 400, get('/user', host, 'X : a')],
    ['an unknown method', 501, `BREW /user HTTP/1.1\r\n${host}\r\n\r\n`],
    ['a method in lower case', 501, `get /user HTTP/1.1\r\n${host}\r\n\r\n`],
    ['a CONNECT tunnel', 501, `CONNECT other.example:443 HTTP/1.1\r\n${host}\r\n\r\n`],
    ['a TLS handshake', 400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['the preface of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an unknown version', 400, `GET /user HTTP/9.9\r\n${host}\r\n\r\n`],
    ['two lengths', 400, post('Content-Length: 2\r\nContent-Length: 3', '{}')],
    ['a malformed length', 400, post('Content-Length: x', '{}')],
    ['a length and chunks', 400, post('Content-Length: 2\r\nTransfer-Encoding: chunked', '0\r\n\r\n')],
    ['a malformed chunk size', 400, post('Transfer-Encoding: chunked', 'zz\r\n{}\r\n')],
    ['a chunk longer than its size', 400, post('Transfer-Encoding: chunked', '1\r\n{}\r\n0\r\n\r\n')],
    [
      'a chunk extension that is too long',
      413,
      post('Transfer-Encoding: chunked', `2;${'a'.repeat(20_000)}\r\n{}\r\n`),
    ],
  ])('%s: one answer with %i and a problem document', async (_what, status, text) => {
    await expectRejection(text, status)
  })

  it.each([
    ['a chunk that is none', 'Transfer-Encoding: chunked', 'zz\r\n', 400],
    ['a chunk extension that is too long', 'Transfer-Encoding: chunked', `1;${'a'.repeat(20_000)}\r\n`, 413],
    ['the end of the connection', 'Content-Length: 9', undefined, 400],
  ])(
    'while a body is read, %s, is told to the request, and its line names the route',
    async (_what, framing, rest, status) => {
      const { hostname, port } = new URL(service.url)
      const socket = connect(Number(port), hostname).setEncoding('latin1')
      let text = ''
      socket.on('data', (chunk: string) => (text += chunk)).on('error', () => {})
      const closed = new Promise<void>((done) => socket.once('close', () => done()))
      socket.write(post(framing, framing.includes('chunked') ? '1\r\n{\r\n' : '{'))
      // The same route, later: when it has been answered, the first body is being read.
      await service.makeUser()
      if (rest === undefined) socket.end()
      else socket.write(rest)
      await closed
      const answers = readAnswers(text)
      expect(answers.map(({ status }) => status)).toEqual([status])
      expect(answers[0]?.headers.get('connection')).toBe('close')
      const id = answers[0]?.headers.get('x-request-id')
      expect(
        service.log.filter(({ fields }) => fields.request_id === id).map(({ fields }) => fields),
      ).toMatchObject([{ route: 'POST /user', status }])
    },
  )

  it('in a body causes no second answer after the first', async () => {
    const { hostname, port } = new URL(service.url)
    const socket = connect(Number(port), hostname).setEncoding('latin1')
    let text = ''
    socket.on('data', (chunk: string) => (text += chunk)).on('error', () => {})
    const closed = new Promise<void>((done) => socket.once('close', () => done()))
    // Rejected before the body is read.
    socket.write(post('Transfer-Encoding: chunked', '').replace('application/json', 'text/plain'))
    await until('the answer', () => text !== '')
    socket.write('zz\r\n')
    await closed
    expect(readAnswers(text).map(({ status }) => status)).toEqual([415])
  })

  it('with missing headers is 408 after about ten seconds', async () => {
    await late.rejected
    expect(await late.tookMs).toBeLessThan(14_000)
  })

  it('an idle connection is closed without an answer', async () => {
    expect(await late.idle).toBe('')
  })

  it('leaves the server healthy, without an error in the log', async () => {
    // One line for the missing headers, none for the idle connection.
    expect(service.log.filter(({ fields }) => fields.status === 408)).toHaveLength(1)
    expect(service.log.filter(({ level }) => level === 'error')).toEqual([])
    expect((await service.call('GET', '/health', { token: null })).status).toBe(200)
  })
})
