// Rules that hold on every screen: accessible in all looks, no violation of the policy, no token, a session that may end.
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { runBulk } from '../../test/support/bulk.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()

const user = await service.makeUser({
  name: 'Ada Lovelace',
  contacts: [{ contact_type: 'PHONE', value: '+44 20 7946 0958' }],
  attributes: { department: 'Engines', floor: 3, remote: true },
})

// A bulk change with a user that it keeps.
const full = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`key_${at}`, at]))
const { id: fullId } = await service.makeUser({ attributes: full })
await runBulk(service, { action: 'set_attributes', attributes: { more: 1 }, ids: [user.id, fullId] })

type Screen = { path: string; show: (page: Page) => Promise<void> }

const screens: Record<string, Screen> = {
  list: {
    path: '/users',
    show: async (page) => {
      await page.getByRole('row', { name: user.username }).waitFor()
      await page.getByRole('button', { name: 'Filters' }).click()
      await page.getByLabel('Select all loaded users').click({ force: true })
    },
  },
  user: { path: `/users/${user.id}`, show: (page) => page.getByRole('button', { name: 'Edit' }).waitFor() },
  edit: { path: `/users/${user.id}`, show: (page) => page.getByRole('button', { name: 'Edit' }).click() },
  create: { path: '/users/new', show: (page) => page.getByLabel('Username').waitFor() },
  imports: { path: '/imports', show: (page) => page.getByText('There are none yet.').first().waitFor() },
  'import of a file': {
    path: '/imports',
    show: async (page) => {
      const buffer = Buffer.from('Login;Mail;Team\nada;ada@example.com;Engines')
      await page.getByLabel('File, also').setInputFiles({ name: 'users.csv', mimeType: 'text/csv', buffer })
      await page.getByLabel('Format').selectOption('csv')
      await page.getByLabel('Field of Login').waitFor()
    },
  },
  health: {
    path: '/service-health',
    show: (page) => page.getByRole('region', { name: 'The last hour' }).waitFor(),
  },
  'erasure of many': {
    path: '/users',
    show: async (page) => {
      await page.getByLabel('Select all loaded users').click({ force: true })
      await page.getByRole('button', { name: 'Erase…' }).click()
      await page.getByLabel('To confirm').waitFor()
    },
  },
  'attribute of many': {
    path: '/users',
    show: async (page) => {
      await page.getByLabel('Select all loaded users').click({ force: true })
      await page.getByRole('button', { name: 'Set an attribute…' }).click()
      await page.getByLabel('Name of the attribute').waitFor()
    },
  },
  'bulk change': {
    path: '/imports',
    show: async (page) => {
      await page.getByRole('link', { name: 'Set attributes' }).click()
      await page.getByRole('region', { name: 'Kept users' }).waitFor()
    },
  },
  erase: { path: `/users/${user.id}`, show: (page) => page.getByRole('button', { name: 'Erase…' }).click() },
}

const looks = { light: ['light', 'ltr'], dark: ['dark', 'ltr'], 'right to left': ['light', 'rtl'] } as const

it.for(Object.entries(screens))(
  'axe finds nothing in any look of %s, and the content security policy is kept',
  async ([, { path, show }]) => {
    const page = await open('/users', { context: { reducedMotion: 'reduce' } })
    const messages: string[] = []
    page.on('console', (message) => messages.push(message.text()))
    page.on('pageerror', (error) => messages.push(error.message))
    await page.goto(new URL(`/console${path}`, page.url()).href)
    await show(page)
    const faults: string[] = []
    for (const [look, [colorScheme, direction]] of Object.entries(looks)) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate(`document.documentElement.dir = '${direction}'`)
      const { violations } = await new AxeBuilder({ page }).analyze()
      for (const { id, nodes } of violations) faults.push(`${look}: ${id} at ${nodes[0]?.html}`)
    }
    expect([...faults, ...messages]).toEqual([])
  },
)

it.for(Object.entries(screens))(
  '%s fits into 320 pixels, which is 400 % zoom, in forced colours',
  async ([, { path, show }]) => {
    const viewport = { width: 320, height: 256 }
    const page = await open(path, { context: { viewport, forcedColors: 'active' } })
    await show(page)
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(viewport.width)
  },
)

it('no token is in any answer, the storage or a cookie that scripts can read', async () => {
  const page = await open('/users')
  const texts: Promise<string>[] = []
  page.on('response', (response) => texts.push(response.text().catch(() => '')))
  await page.reload()
  await page.getByRole('row', { name: user.username }).click()
  await page.getByRole('button', { name: 'Edit' }).waitFor()
  const storage = 'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])'
  const stored = (await page.evaluate(storage)) as string
  const all = [stored, ...(await Promise.all(texts))]
  expect(all.length).toBeGreaterThan(5)
  expect(all.filter((text) => /eyJ[\w-]+\.eyJ/.test(text))).toEqual([])
})

it('a session that ends keeps the unsaved input, and the person signs in again in another tab', async () => {
  const page = await open(`/users/${user.id}`)
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Name', { exact: true }).fill('Kept')
  await page.context().clearCookies()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  const dialog = page.getByRole('alertdialog', { name: 'Your session has ended' })
  await dialog.waitFor()
  const opened = page.context().waitForEvent('page')
  await dialog.getByRole('link', { name: 'Sign in in a new tab' }).click()
  await (await opened).getByText('You are signed in.').waitFor()
  await dialog.getByRole('button', { name: 'I have signed in' }).click()
  await dialog.waitFor({ state: 'detached' })
  expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('Kept')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText(`${user.username} is saved.`).waitFor()
})

it('a lost connection is said, and the person tries again', async () => {
  const page = await open('/users')
  await page.getByRole('row', { name: user.username }).waitFor()
  await page.context().setOffline(true)
  await page.getByText('You are offline.').waitFor()
  await page.getByRole('searchbox').fill(user.username)
  await page.getByText('The server cannot be reached.').waitFor()
  await page.context().setOffline(false)
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.getByRole('alert').waitFor({ state: 'detached' })
  await page.getByText('1 user').waitFor()
})

it('a person without a role is told so', async () => {
  const page = await open('/users', { role: 'none' })
  await page.getByRole('heading', { name: 'You have no role in this directory' }).waitFor()
  expect(await page.getByRole('row').count()).toBe(0)
})
