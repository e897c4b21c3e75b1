// The built console: which files are served, with which headers, and nothing besides.
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { beforeAll, expect, it } from 'vitest'
import { createConsoleFiles } from '../../../../src/handler/http/console/files.ts'
import { securityHeaders } from '../../../../src/handler/http/console/security-headers.ts'
import type { HttpRequest, Reply } from '../../../../src/handler/http/endpoint.ts'
import { atEnd } from '../../../support/cleanup.ts'
import { startLocalServer } from '../../../support/local-issuer.ts'
import { startService } from '../../../support/service.ts'

const folder = await mkdtemp(join(tmpdir(), 'user-directory-console-'))
atEnd(() => rm(folder, { recursive: true, force: true }))
const page = '<!doctype html><title>Console</title>'
const script = 'console.log("x")\n'.repeat(50)

beforeAll(async () => {
  await mkdir(join(folder, 'dist/assets'), { recursive: true })
  await writeFile(join(folder, 'secret.json'), '{}')
  const write = (name: string, text: string | Uint8Array) => writeFile(join(folder, 'dist', name), text)
  await write('index.html', page)
  await write('sources-hash', 'abc')
  await write('icon.svg', '<svg/>')
  await write('assets/app-x1.js', script)
  await write('assets/app-x1.js.br', brotliCompressSync(script))
  await write('assets/app-x1.js.gz', gzipSync(script))
  await write('assets/app-x1.css', 'a{}')
  await write('assets/font-x1.woff2', 'font')
  await symlink(join(folder, 'secret.json'), join(folder, 'dist/assets/link.json'))
})

const headers = securityHeaders({ avatars: 'https://cdn.example', issuer: 'https://id.example' })
const files = createConsoleFiles(headers, () => join(folder, 'dist'))
const requestWith = (path: string, sent: Record<string, string>): HttpRequest => ({
  method: 'GET',
  path: `/console/${path}`,
  query: '',
  header: (name) => sent[name],
  body: async () => undefined,
  stream: () => Readable.from([]),
})
const get = (path: string, sent: Record<string, string> = {}): Promise<Reply> =>
  files(requestWith(path, sent), path)
const textOf = ({ body }: Reply) => Buffer.from(body ?? '').toString()

const isolation = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: https://cdn.example; connect-src 'self'; font-src 'self'; form-action 'self' https://id.example; frame-ancestors 'none'; base-uri 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'same-origin',
  'Permissions-Policy': expect.stringContaining('camera=()'),
  Vary: 'Accept-Encoding',
  ETag: expect.stringMatching(/^"[\w-]{22}"$/),
}
const immutable = 'public, max-age=31536000, immutable'

it.each([
  ['', 'text/html; charset=utf-8', 'no-cache'],
  ['users/0197f3c2', 'text/html; charset=utf-8', 'no-cache'],
  ['index.html', 'text/html; charset=utf-8', 'no-cache'],
  ['icon.svg', 'image/svg+xml', 'no-cache'],
  ['assets/app-x1.js', 'text/javascript; charset=utf-8', immutable],
  ['assets/app-x1.css', 'text/css; charset=utf-8', immutable],
  ['assets/font-x1.woff2', 'font/woff2', immutable],
])('/console/%s is %s, %s', async (path, type, caching) => {
  const { status = 200, headers } = await get(path)
  expect([status, headers]).toEqual([200, { ...isolation, 'Content-Type': type, 'Cache-Control': caching }])
})

it.each([
  ['br, gzip', 'br'],
  ['gzip, deflate', 'gzip'],
  ['BR;q=0.5', 'br'],
  ['br;q=0, gzip', 'gzip'],
  ['br;q=0.000', undefined],
  ['identity', undefined],
  ['brotli, xgzip', undefined],
  ['*', undefined],
])('to Accept-Encoding: %s the answer is encoded as %s', async (accepted, coding) => {
  const { headers, body = '' } = await get('assets/app-x1.js', { 'accept-encoding': accepted })
  expect(headers?.['Content-Encoding']).toBe(coding)
  const decode = { br: brotliDecompressSync, gzip: gunzipSync, none: (bytes: Buffer) => bytes }
  expect(decode[(coding as 'br') ?? 'none'](Buffer.from(body)).toString()).toBe(script)
})

it('each encoding has its own ETag, which makes the answer a 304', async () => {
  const [plain, br] = [
    await get('assets/app-x1.js'),
    await get('assets/app-x1.js', { 'accept-encoding': 'br' }),
  ]
  const etag = br.headers?.ETag ?? ''
  expect(etag).not.toBe(plain.headers?.ETag)
  const again = await get('assets/app-x1.js', { 'accept-encoding': 'br', 'if-none-match': `"x", W/${etag}` })
  expect([again.status, again.body, again.headers?.ETag]).toEqual([304, undefined, etag])
  expect((await get('', { 'if-none-match': etag })).status ?? 200).toBe(200)
})

it.each([
  '../secret.json',
  '..%2fsecret.json',
  '%2e%2e/secret.json',
  '..\\secret.json',
  '/etc/passwd',
  'sources-hash',
  'app-x1.js.br',
  '__proto__',
  'constructor',
  'x\0.html',
])('%s gives nothing but the page', async (path) => {
  expect(textOf(await get(path))).toBe(page)
})

it.each([
  'assets/old-x0.js',
  'assets/',
  'assets/app-x1.js.gz',
  'assets/link.json',
  'assets/../../secret.json',
])('%s is not found, because a page would be parsed as a script', async (path) => {
  await expect(get(path)).rejects.toMatchObject({ code: 'not_found' })
})

it('a new build is served without a restart', async () => {
  const name = 'assets/new-x2.js'
  await expect(get(name)).rejects.toMatchObject({ code: 'not_found' })
  await writeFile(join(folder, 'dist', name), 'new')
  await writeFile(join(folder, 'dist/index.html'), `${page}<p>New`)
  await utimes(join(folder, 'dist/index.html'), 1, 1)
  expect(textOf(await get(''))).toBe(`${page}<p>New`)
  expect(textOf(await get(name))).toBe('new')
  await writeFile(join(folder, 'dist/index.html'), page)
})

it('without a build the page says how to make one', async () => {
  const missing = createConsoleFiles(headers, () => undefined)
  const { status, body } = await missing(requestWith('', {}), '')
  expect([status, body]).toEqual([503, expect.stringContaining('npm run build --workspace console')])
})

it('a browser is led from / to the console, and other clients are not', async () => {
  const origin = await startLocalServer(await startService())
  const open = (path: string, accept: string, method = 'GET') =>
    fetch(origin + path, { method, headers: { accept }, redirect: 'manual' })
  const root = await open('/', 'text/html,application/xhtml+xml')
  expect([root.status, root.headers.get('location')]).toEqual([302, '/console/'])
  expect((await open('/', 'application/json')).status).toBe(404)
  const bare = await open('/console', '*/*')
  expect([bare.status, bare.headers.get('location')]).toEqual([302, '/console/'])
  for (const path of ['/console/users', '/consoles', '/console/session'])
    expect((await open(path, '*/*')).headers.get('x-content-type-options')).toBe('nosniff')
  expect((await open('/consoles', '*/*')).status).toBe(404)
  const response = await fetch(`${origin}/console/sign-out`, { headers: { accept: '*/*' } })
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
})
