// The console on AWS in Chromium: the distribution of a stage's template before the built functions and files.
import { expect, it } from 'vitest'
import { startChromium } from '../../console/test/support/chromium.ts'
import { atEnd } from '../../test/support/cleanup.ts'
import { startConsoleFunction } from '../../test/support/console-function.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startProvider } from '../../test/support/openid-provider.ts'
import { png } from '../../test/support/picture.ts'
import { freePort } from '../../test/support/port.ts'
import { realServices, startService, uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { buildConsole } from '../../tools/built-console.mjs'
import { startEdge } from './edge.ts'
import { templatesOf } from './stage-templates.ts'

expect(buildConsole()).toBe(true)
const env = realServices()
const port = await freePort()
const origin = `https://localhost:${port}`
const service = await startService({ env: { ...env, AVATAR_BASE_URL: origin } })
startJobRunner(service)
const provider = await startProvider()
const { api } = await startConsoleFunction(provider, { ...service, origin, env: { AVATAR_BASE_URL: origin } })
await startEdge({
  // Synthesises this stage alone.
  templates: templatesOf('dev', {}),
  port,
  invoke: api.invoke,
  folder: new URL('../../console/dist', import.meta.url).pathname,
  store: env.AWS_ENDPOINT_URL_S3 ?? '',
})
const browser = await startChromium()
type Page = Awaited<ReturnType<typeof browser.newPage>>

async function open(
  path: string,
  username = uniqueName('person'),
): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1200, height: 800 },
  })
  context.setDefaultTimeout(30_000)
  atEnd(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (/Content.Security.Policy|violates/i.test(message.text())) complaints.push(message.text())
  })
  provider.person = { username, 'cognito:groups': ['admins'] }
  await page.goto(`${origin}${path}`)
  await page.getByRole('link', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
  return { page, complaints }
}

it('a person comes from the host’s root, signs in, finds a user with an avatar, changes it and signs out', async () => {
  const { id, username } = await service.makeUser({ name: 'Ada Lovelace' })
  await service.call('POST', `/upload/${id}`, {
    body: (await png()) as Uint8Array<ArrayBuffer>,
    headers: { 'content-type': 'image/png' },
  })
  const { page, complaints } = await open('/')
  const cookies = await page.context().cookies()
  expect(cookies).toEqual([
    expect.objectContaining({
      name: '__Host-directory-console',
      httpOnly: true,
      secure: true,
      sameSite: 'Strict',
    }),
  ])
  await page.goto(`${origin}/console/users?search=${username}`)
  await page.getByRole('row', { name: username }).click()
  const picture = `document.querySelector('img[src^="${origin}/avatars/"]')?.naturalWidth > 0`
  await until('the avatar', () => page.evaluate(picture))
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Name', { exact: true }).fill('Ada King')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText(`${username} is saved.`).waitFor()
  expect((await service.call('GET', `/user/${id}`)).body.name).toBe('Ada King')
  expect(complaints).toEqual([])
})

it('a file of an import goes from the browser to the store, and its users move in', async () => {
  const name = uniqueName('moved')
  const { page, complaints } = await open('/console/imports')
  const sent: string[] = []
  page.on('request', (request) => {
    if (request.method() === 'PUT') sent.push(new URL(request.url()).origin)
  })
  const content = Buffer.from(`username,name\n${name}.1,${name}\n${name}.2,${name}\n`)
  await page
    .getByLabel('File, also compressed by gzip or Zstandard')
    .setInputFiles({ name: 'users.csv', mimeType: 'text/csv', buffer: content })
  await page.getByText('The content is recognised as CSV.').waitFor()
  await page.getByRole('button', { name: 'Check the file' }).click()
  await page.getByRole('button', { name: 'Import these users' }).click()
  await page.getByRole('button', { name: 'Undo: erase the created users' }).waitFor()
  const { body } = await service.call<{ total: number }>('GET', `/user?search=${name}&count=exact`)
  expect(body.total).toBe(2)
  expect(new Set(sent)).toEqual(new Set([env.AWS_ENDPOINT_URL_S3]))
  expect(complaints).toEqual([])
})

it('a session whose user is blocked ends on the open page', async () => {
  const { id, username } = await service.makeUser()
  const { page } = await open('/console/users', username)
  await service.call('PATCH', `/user/${id}`, { json: { status: 'BLOCKED' } })
  await page.getByRole('searchbox').fill('anyone')
  await page.getByRole('alertdialog', { name: 'Your session has ended' }).waitFor()
})
