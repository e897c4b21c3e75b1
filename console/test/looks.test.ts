// Every screen and dialog is accessible in all looks, fits into a narrow window, and keeps the content security policy.
import axe, { type RunOptions } from 'axe-core'
import type { ConsoleMessage, Page } from 'playwright-core'
import { expect, it, onTestFinished } from 'vitest'
import { runBulk } from '../../test/support/bulk.ts'
import { runImport } from '../../test/support/import.ts'
import { png } from '../../test/support/picture.ts'
import { uniqueName } from '../../test/support/service.ts'
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

// A check with a page of refused rows and more.
const refused = Array.from({ length: 101 }, (_, index) => `not a username ${index}`)
const file = Buffer.from(['username', uniqueName('good'), ...refused].join('\n'))
const checked = await runImport(service, file, { format: 'csv', dry_run: true })

type Screen = { path: string; show: (page: Page) => Promise<void> }

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const ofUser = (show: (page: Page) => Promise<void>): Screen => ({ path: `/users/${user.id}`, show })
const isShown = (page: Page) => page.getByRole('row', { name: user.username }).waitFor()
const edit = async (page: Page) => {
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Username').waitFor()
}

const screens: Record<string, Screen> = {
  list: {
    path: '/users',
    show: async (page) => {
      await isShown(page)
      await button(page, 'Filters').click()
      await page.getByLabel('Select all loaded users').click({ force: true })
    },
  },
  'a list without users': {
    path: '/users?search=zzzzzz',
    show: (page) => button(page, 'Show all users').waitFor(),
  },
  'the export': { path: '/users', show: (page) => button(page, 'Export…').click() },
  user: ofUser((page) => page.getByRole('button', { name: 'Edit' }).waitFor()),
  edit: ofUser(edit),
  erase: ofUser((page) => button(page, 'Erase…').click()),
  password: ofUser((page) => button(page, 'Password…').click()),
  avatar: ofUser(async (page) => {
    await button(page, 'Avatar…').click()
    const buffer = Buffer.from(await png())
    await page.getByLabel('Picture').setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer })
    await page.getByLabel('Zoom').waitFor()
  }),
  conflict: ofUser(async (page) => {
    await edit(page)
    await page.getByLabel('Name', { exact: true }).fill('Mine')
    const json = { name: uniqueName('Theirs') }
    await service.call('PATCH', `/user/${user.id}`, { json })
    await button(page, 'Save').click()
    await page.getByRole('dialog').waitFor()
  }),
  'leaving without saving': ofUser(async (page) => {
    await edit(page)
    await page.getByLabel('Name', { exact: true }).fill('Unsaved')
    await page.getByRole('link', { name: 'Health' }).click()
    await button(page, 'Stay').waitFor()
  }),
  create: {
    path: '/users/new',
    show: async (page) => {
      await page.getByLabel('Username').fill('not a username')
      await button(page, 'Add a contact').click()
      await button(page, 'Add an attribute').click()
      await button(page, 'Create').click()
      await page.locator('[aria-invalid=true]').first().waitFor()
    },
  },
  imports: { path: '/imports', show: (page) => page.getByText('Check of an import').waitFor() },
  'import of a file': {
    path: '/imports',
    show: async (page) => {
      const buffer = Buffer.from('Login;Mail;Team\nada;ada@example.com;Engines')
      await page.getByLabel('File, also').setInputFiles({ name: 'users.csv', mimeType: 'text/csv', buffer })
      await page.getByLabel('Format').selectOption('csv')
      await page.getByLabel('Field of Login').waitFor()
    },
  },
  'a checked import': { path: `/imports/${checked.id}`, show: (page) => button(page, 'Next').waitFor() },
  health: {
    path: '/service-health',
    show: async (page) => {
      await page.getByRole('region', { name: 'The last hour' }).waitFor()
      await page.getByText('The figures as a table').click()
    },
  },
  commands: {
    path: '/users',
    show: async (page) => {
      await isShown(page)
      await page.keyboard.press('Control+k')
      await page.getByRole('dialog', { name: 'Commands' }).waitFor()
    },
  },
  keys: {
    path: '/users',
    show: async (page) => {
      await isShown(page)
      await page.keyboard.press('?')
      await page.getByRole('dialog').waitFor()
    },
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
  'an unknown page': {
    path: '/nowhere',
    show: (page) => page.getByRole('heading', { name: 'This page does not exist' }).waitFor(),
  },
}

// Contrast depends on the colours alone, and all other rules do not depend on them.
const contrast = 'color-contrast'
const looks: Record<string, { colorScheme: 'light' | 'dark'; direction: string; rules: RunOptions }> = {
  light: { colorScheme: 'light', direction: 'ltr', rules: {} },
  dark: { colorScheme: 'dark', direction: 'ltr', rules: { runOnly: { type: 'rule', values: [contrast] } } },
  'right to left': {
    colorScheme: 'light',
    direction: 'rtl',
    rules: { rules: { [contrast]: { enabled: false } } },
  },
}

// One page for all, because a new page is a process of Chromium, and compiles all scripts again.
const page = await open('/users', { context: { reducedMotion: 'reduce' } })

/** @returns the violations in the current look, with the first element of each */
async function violations(rules: RunOptions): Promise<string[]> {
  const options: RunOptions = { ...rules, resultTypes: ['violations'] }
  const found = await page.evaluate(`axe.run(${JSON.stringify(options)}).then(({ violations }) =>
    violations.map(({ id, nodes }) => id + ' at ' + nodes[0].html))`)
  return found as string[]
}

it.for(Object.entries(screens))(
  'axe finds nothing in any look of %s, it fits into 400 % zoom, and the content security policy is kept',
  async ([, { path, show }]) => {
    const messages: string[] = []
    const note = (message: ConsoleMessage) => void messages.push(message.text())
    const noteError = (error: Error) => void messages.push(error.message)
    page.on('console', note).on('pageerror', noteError)
    onTestFinished(() => void page.off('console', note).off('pageerror', noteError))
    await page.setViewportSize({ width: 1200, height: 800 })
    await page.emulateMedia({ colorScheme: 'light', forcedColors: 'none' })
    await page.goto(new URL(`/console${path}`, page.url()).href)
    await show(page)
    await page.evaluate(axe.source)
    const faults: string[] = []
    for (const [look, { colorScheme, direction, rules }] of Object.entries(looks)) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate(`document.documentElement.dir = '${direction}'`)
      for (const violation of await violations(rules)) faults.push(`${look}: ${violation}`)
    }
    // 320 CSS pixels are 1280 at 400 % (WCAG 2.2, 1.4.10).
    const width = 320
    await page.setViewportSize({ width, height: 256 })
    for (const [forcedColors, direction] of [
      ['none', 'rtl'],
      ['active', 'ltr'],
    ] as const) {
      await page.emulateMedia({ forcedColors })
      await page.evaluate(`document.documentElement.dir = '${direction}'`)
      expect([forcedColors, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([
        forcedColors,
        width,
      ])
    }
    // Chromium reports each answer of the API that is an error.
    const unexpected = messages.filter((text) => !/status of (400|412)/.test(text))
    expect([...faults, ...unexpected]).toEqual([])
  },
)
