// Takes a picture of each screen, light and dark, with sample users.
import { mkdir, writeFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import sharp from 'sharp'
import { expect, it } from 'vitest'
import { seedSamples } from '../../src/dev/samples.ts'
import type { User } from '../../src/model/user.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { startConsole } from '../test/support/console.ts'

const folder = 'docs/console'
const bytesMax = 600 * 1024
const viewport = { width: 1100, height: 680 }

const { service, open } = await startConsole()
startJobRunner(service)
await seedSamples(service.connections, 100, { suffix: '' })
const { body } = await service.call<{ items: User[] }>('GET', '/user?contact_type=EMAIL&limit=1')
const path = `/users/${body.items[0]?.id}`

const edit = async (page: Page) => {
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Username').waitFor()
}
const chooseFile = async (page: Page) => {
  const lines = [
    'Login;Full Name;Mail;Mobile;Team;Staff No',
    'ada;Ada Lovelace;ada@example.com;+44 20 7946 0958;Engines;17',
    'not a name;;;;;',
    'bea;Bea Example;no address;;;',
  ]
  const file = { name: 'people.csv', mimeType: 'text/csv', buffer: Buffer.from(lines.join('\n')) }
  await page.getByLabel('File, also').setInputFiles(file)
  await page.getByLabel('Format').selectOption('csv')
  await page.getByLabel('Field of Login').waitFor()
}

const screens: Record<string, { path: string; show: (page: Page) => Promise<void> }> = {
  list: { path: '/users', show: (page) => page.getByText(/10\d users/).waitFor() },
  user: { path, show: (page) => page.getByRole('button', { name: 'Edit' }).waitFor() },
  edit: { path, show: edit },
  conflict: {
    path,
    show: async (page) => {
      await edit(page)
      await page.getByLabel('Name', { exact: true }).fill('Ada King')
      const json = { name: 'Ada Lovelace', external_id: `staff|${crypto.randomUUID().slice(0, 8)}` }
      await service.call('PATCH', path.replace('/users', '/user'), { json })
      await page.getByRole('button', { name: 'Save', exact: true }).click()
      await page.getByRole('dialog').waitFor()
    },
  },
  import: { path: '/imports', show: chooseFile },
  'import-check': {
    path: '/imports',
    show: async (page) => {
      await chooseFile(page)
      await page.getByRole('button', { name: 'Check the file' }).click()
      await page.getByRole('table', { name: 'Refused rows' }).waitFor()
    },
  },
  health: {
    path: '/service-health',
    show: (page) => page.getByRole('region', { name: 'The last hour' }).waitFor(),
  },
}

it('takes the pictures', async () => {
  await mkdir(folder, { recursive: true })
  let bytes = 0
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await open('/users', {
      username: 'grace',
      context: { viewport, colorScheme, locale: 'en-GB' },
    })
    await page.route('**/console/health', async (route) => {
      const response = await route.fetch()
      const health = (await response.json()) as { process: { minutes: object[] } }
      health.process.minutes = health.process.minutes.map(sampleMinute)
      await route.fulfill({ response, json: health })
    })
    // The tests' address of avatars leads nowhere.
    await page.route(`${service.connections.avatarBaseUrl}/**`, async (route) => {
      const [, key = ''] = /(avatars\/.*)$/.exec(route.request().url()) ?? []
      const bytes = await service.connections.avatars.read(key)
      await route.fulfill(bytes ? { body: Buffer.from(bytes), contentType: 'image/webp' } : { status: 404 })
    })
    for (const [name, { path, show }] of Object.entries(screens)) {
      // Each screen is loaded, so that nothing of the one before is left.
      await page.goto(new URL(`/console${path}`, page.url()).href)
      await show(page)
      const picture = await sharp(await page.screenshot())
        .webp({ quality: 62, effort: 6, smartSubsample: true })
        .toBuffer()
      await writeFile(`${folder}/${name}-${colorScheme}.webp`, picture)
      bytes += picture.length
    }
    await page.context().close()
  }
  expect(bytes).toBeLessThan(bytesMax)
})

/** The server of a test has no hour of requests to show. */
function sampleMinute(minute: object, index: number): object {
  const requests = Math.round(900 + 500 * Math.sin(index / 9) + 120 * Math.sin(index * 2.3))
  const isSlow = index >= 41 && index <= 43
  const hits = Math.round(requests * 0.88)
  return {
    ...minute,
    requests,
    errors: isSlow ? 60 + index : 0,
    p95_ms: isSlow ? 48 : 6 + 2 * Math.sin(index / 5),
    hits,
    misses: requests - hits,
    bypasses: 0,
  }
}
