// Administrators move users in and out in the browser.
import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { firebaseParameters, fixture } from '../../test/support/import-file.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { uniqueName } from '../../test/support/service.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()
startJobRunner(service)

const sourceField = (page: Page) => page.getByLabel('File, also compressed by gzip or Zstandard')
const choose = (page: Page, name: string, buffer: Buffer) =>
  sourceField(page).setInputFiles({ name, mimeType: 'application/octet-stream', buffer })
const check = (page: Page) => page.getByRole('button', { name: 'Check the file' }).click()
const imported = async (page: Page) => {
  await page.getByRole('button', { name: 'Import these users' }).click()
  await page.getByRole('heading', { name: 'Import', exact: true }).waitFor()
  await page.getByRole('button', { name: 'Undo: erase the created users' }).waitFor()
}
const countOf = async (name: string) =>
  (await service.call<{ total: number }>('GET', `/user?search=${name}&count=exact`)).body.total

it('a CSV file is checked with its faults as a table, imported, undone, and the list is exported', async () => {
  const name = uniqueName('moved')
  const rows = Array.from({ length: 10 }, (_, index) => `${name}.${index},${name}`)
  rows[3] = `not a username,${name}`
  rows[7] = `,${name}`
  const page = await open('/imports')
  await choose(page, 'users.csv', Buffer.from(['username,name', ...rows, ''].join('\n')))
  await page.getByText('The content is recognised as CSV.').waitFor()
  await check(page)
  const table = page.getByRole('table', { name: 'Refused rows' })
  await table.waitFor()
  expect(await table.getByRole('row').count()).toBe(3)
  await page.getByText('To be created').waitFor()
  await page.getByText('The import leaves out the refused rows.').waitFor()
  expect(await countOf(name)).toBe(0)
  await imported(page)
  expect(await countOf(name)).toBe(8)

  const importUrl = page.url()
  await page.goto(importUrl.replace(/\/imports.*/, `/users?search=${name}`))
  await page.getByText('8 users').waitFor()
  await page.getByRole('button', { name: 'Export…' }).click()
  await page.getByRole('button', { name: 'Export', exact: true }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download the file' }).click()
  const exported = await readFile(await (await download).path(), 'utf8')
  expect(exported.trimEnd().split('\n')).toHaveLength(9)

  await page.goto(importUrl)
  await page.getByRole('button', { name: 'Undo: erase the created users' }).click()
  await page.getByRole('heading', { name: 'Undo of an import' }).waitFor()
  await page.getByText('Done').waitFor()
  expect(await countOf(name)).toBe(0)
})

it('the created users are shown page by page, whenever the file says that they were created', async () => {
  const name = uniqueName('long.ago')
  const lines = Array.from({ length: 51 }, (_, at) =>
    JSON.stringify({
      username: `${name}.${at}`,
      created_at: '2011-01-01T00:00:00Z',
      status: at === 0 ? 'BLOCKED' : 'ACTIVE',
    }),
  )
  const page = await open('/imports')
  await choose(page, 'users.ndjson', Buffer.from(`${lines.join('\n')}\n`))
  await check(page)
  await page.getByText('To be created').waitFor()
  const show = page.getByRole('button', { name: 'Show the created users' })
  expect(await show.count()).toBe(0)
  await imported(page)
  await show.click()
  const table = page.getByRole('table', { name: 'Created users' })
  await table.getByRole('row', { name: `${name}.0 Blocked` }).waitFor()
  expect(await table.getByRole('row').count()).toBe(51)
  await page.getByRole('button', { name: 'Next' }).click()
  await page.getByText('Page 2').waitFor()
  await table.getByRole('link', { name: `${name}.50` }).click()
  await page.getByRole('heading', { name: `${name}.50` }).waitFor()
})

it('the columns of a foreign file are guessed, corrected, and become fields, contacts and attributes', async () => {
  const name = uniqueName('foreign')
  const lines = ['Login;Mail;Age;Team;Secret', `${name};${name}@example.com;37;Engines;x`]
  const page = await open('/imports')
  await choose(page, 'people.txt', Buffer.from(lines.join('\r\n')))
  await page.getByLabel('Format').selectOption('csv')
  const field = (column: string) => page.getByLabel(`Field of ${column}`, { exact: true })
  expect(await field('Mail').inputValue()).toBe('EMAIL')
  await field('Age').selectOption('number')
  await field('Login').selectOption('skip')
  await page.getByText('Choose the column that holds the username.').waitFor()
  expect(await page.getByRole('button', { name: 'Check the file' }).isDisabled()).toBe(true)
  await field('Login').selectOption('username')
  await page.getByLabel('Attribute of Team').fill('department')
  await field('Secret').selectOption('skip')
  await check(page)
  await imported(page)
  const { body } = await service.call<{ items: object[] }>('GET', `/user?username=${name}`)
  expect(body.items[0]).toMatchObject({
    contacts: [{ contact_type: 'EMAIL', value: `${name}@example.com` }],
    attributes: { age: 37, department: 'Engines' },
  })
})

it('more than a hundred refused rows are shown page by page', async () => {
  const page = await open('/imports')
  const rows = Array.from({ length: 250 }, (_, index) => `not a username ${index}`)
  await choose(page, 'users.csv', Buffer.from(['username', ...rows].join('\n')))
  await page.getByLabel('Format').selectOption('csv')
  await check(page)
  const table = page.getByRole('table', { name: 'Refused rows' })
  const firstLine = (line: string) =>
    table.getByRole('row').nth(1).getByRole('cell', { name: line, exact: true })
  await firstLine('2').waitFor()
  expect(await table.getByRole('row').count()).toBe(101)
  const next = page.getByRole('button', { name: 'Next' })
  await next.click()
  await firstLine('102').waitFor()
  await next.click()
  await firstLine('202').waitFor()
  expect(await table.getByRole('row').count()).toBe(51)
  expect(await next.isDisabled()).toBe(true)
  await page.getByRole('button', { name: 'Previous' }).click()
  await firstLine('102').waitFor()
})

it("Auth0's hashes come in a second file, and Firebase's with their parameters", async () => {
  const hashes = async (username: string) => {
    const text = 'SELECT password_hash AS hash FROM users WHERE username = $1'
    const rows = await service.connections.db.query((queries) =>
      queries.unprepared<{ hash: string }>(text, [username]),
    )
    return rows[0]?.hash
  }
  const page = await open('/imports')
  await choose(page, 'export.json', fixture('auth0.ndjson'))
  await page.getByText('The content is recognised as Auth0.').waitFor()
  await page.getByLabel('File of password hashes').setInputFiles({
    name: 'hashes.ndjson',
    mimeType: 'application/octet-stream',
    buffer: fixture('auth0-hashes.ndjson'),
  })
  await page.getByLabel('A password hash that is not supported').selectOption('drop')
  await page.getByLabel('Metadata that cannot be an attribute').selectOption('drop')
  await check(page)
  await imported(page)
  expect(await hashes('ada')).toMatch(/^\$2b\$10\$/)

  await page.getByRole('link', { name: 'All imports' }).click()
  await choose(page, 'export.json', fixture('firebase.json'))
  await page.getByText('The content is recognised as Firebase.').waitFor()
  for (const [name, value] of Object.entries(firebaseParameters))
    await page.getByLabel(new RegExp(`\\(${name}\\)`)).fill(String(value))
  await page.getByLabel('Publish an event for each created user').uncheck()
  await check(page)
  await page.getByRole('button', { name: 'Import these users' }).waitFor()
})

it('a file that cannot be recognised, and parameters that are wrong, are said before anything is sent', async () => {
  const page = await open('/imports')
  await choose(page, 'picture.png', Buffer.from([0x89, 0x50, 0, 0]))
  await page.getByText('The content has no known format. Choose one.').waitFor()
  await page.getByLabel('Format').selectOption('firebase')
  await page.getByLabel('Rounds (rounds)').fill('many')
  await check(page)
  await page.getByRole('alert').getByText('options firebase rounds').waitFor()
})
