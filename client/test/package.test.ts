// The client as it is packed and installed: in Node, for TypeScript, and in Chromium on a page of another origin.
import { execFile } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { expect, it } from 'vitest'
import { startChromium } from '../../console/test/support/chromium.ts'
import { atEnd } from '../../test/support/cleanup.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { installPackages } from '../../test/support/package.ts'
import { png } from '../../test/support/picture.ts'
import { startService, uniqueName } from '../../test/support/service.ts'
import type { callAll, Given } from './every-call.ts'

const run = promisify(execFile)
const client = join(import.meta.dirname, '..')
const modules = join(client, '../node_modules')
await run('npm', ['run', 'build'], { cwd: client, timeout: 120_000 })
const folder = await installPackages([
  client,
  join(modules, 'openapi-fetch'),
  join(modules, 'openapi-typescript-helpers'),
])

const everyCall = await readFile(join(import.meta.dirname, 'every-call.ts'), 'utf8')
await writeFile(join(folder, 'every-call.js'), (await transform(everyCall, { loader: 'ts' })).code)
const picture = await png()

const pages = createServer(
  (request, response) =>
    void serve(request.url ?? '').then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type }).end(body),
      () => response.writeHead(404).end(),
    ),
)
await new Promise<void>((done) => pages.listen(0, '127.0.0.1', done))
atEnd(
  () =>
    new Promise((done) => {
      pages.close(done)
      pages.closeAllConnections()
    }),
)
const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`
const service = await startService({ env: { CORS_ORIGINS: origin } })
startJobRunner(service)

/** A page, the calls, and the files of the installed packages. */
async function serve(path: string): Promise<{ type: string; body: string | Buffer }> {
  if (path === '/') {
    const imports = {
      '@user-directory/client': '/node_modules/@user-directory/client/dist/index.js',
      'openapi-fetch': '/node_modules/openapi-fetch/dist/index.mjs',
    }
    return { type: 'text/html', body: `<script type="importmap">${JSON.stringify({ imports })}</script>` }
  }
  return { type: 'text/javascript', body: await readFile(join(folder, path)) }
}

it('the package holds the built client and its types, and nothing else', async () => {
  const files = await readdir(join(folder, 'node_modules/@user-directory/client'), { recursive: true })
  const others = files.filter((file) => !/^dist\/[a-z-]+(\.d)?\.(js|ts)$/.test(file))
  expect(others.sort()).toEqual(['README.md', 'dist', 'package.json'])
  expect(files).toEqual(expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/api-types.d.ts']))
})

/** @returns the arguments and the result of the calls of `every-call.ts` */
function makeCalls(url = service.url) {
  const prefix = uniqueName('call')
  const given: Given = {
    url,
    token: service.tokens.admin,
    lostUrl: 'http://127.0.0.1:9',
    prefix,
    picture: [...picture],
  }
  const expected = {
    listed: [1, 2, 3].map((at) => `${prefix}.${at}`),
    changed: ['Ada', 2],
    stale: [412, 2],
    avatar: expect.stringMatching(/^avatars\/.*\.webp$/),
    imported: ['done', 1, [2]],
    exported: `${prefix}.2`,
    missing: [404, 'string'],
    isUnreachable: true,
    aborted: 'enough',
  }
  return { given, expected }
}

it('runs in Node', async () => {
  const { given, expected } = makeCalls()
  const script = `
    import * as client from '@user-directory/client'
    import { callAll } from './every-call.js'
    console.log(JSON.stringify(await callAll(client, JSON.parse(process.env.GIVEN))))`
  await writeFile(join(folder, 'script.js'), script)
  const env = { PATH: process.env.PATH, GIVEN: JSON.stringify(given) }
  const { stdout } = await run(process.execPath, ['script.js'], { cwd: folder, env, timeout: 60_000 })
  expect(JSON.parse(stdout)).toEqual(expected)
})

it('gives programs in TypeScript its types, and reports their mistakes', async () => {
  const program = (field: string) => `
    import { openUserDirectory, type User } from '@user-directory/client'
    const { users } = openUserDirectory({ url: 'http://localhost:3000', token: '' })
    const user: User = await users.get('x')
    export const value: string | null = user.${field}
    // @ts-expect-error A sort that the service does not have.
    users.list({ sort: 'age' })`
  const tsc = join(client, 'node_modules/.bin/tsc')
  const options = [
    '--noEmit',
    '--strict',
    // Only of TypeScript's own library; the types of the package are checked.
    '--skipDefaultLibCheck',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2023,dom,dom.iterable',
  ]
  await writeFile(join(folder, 'right.ts'), program('name'))
  await writeFile(join(folder, 'wrong.ts'), program('nickname'))
  const messages = await run(tsc, [...options, 'right.ts', 'wrong.ts'], {
    cwd: folder,
    timeout: 120_000,
  }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
  expect(messages).toMatch(/^wrong\.ts.*'nickname' does not exist[^\n]*\n$/)
})

const browser = await startChromium()

/** Runs the calls on the page. */
async function callInChromium(given: Given): ReturnType<typeof callAll> {
  const page = await browser.newPage()
  await page.goto(origin)
  // As text, because the tests' compiler would change the imports.
  return page.evaluate(
    `Promise.all([import('@user-directory/client'), import('/every-call.js')])
      .then(([client, { callAll }]) => callAll(client, ${JSON.stringify(given)}))`,
  )
}

it('runs in Chromium, on a page of another origin', async () => {
  const { given, expected } = makeCalls()
  expect(await callInChromium(given)).toEqual(expected)
})

it('a page of an origin that is not allowed gets no answer', async () => {
  const other = await startService()
  await expect(callInChromium(makeCalls(other.url).given)).rejects.toThrow('ConnectionError')
  expect(await other.call('GET', '/user')).toMatchObject({ body: { items: [] } })
})
