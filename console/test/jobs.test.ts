// Administrators move users in and out in the browser.
import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { uniqueName } from '../../test/support/service.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()
startJobRunner(service)

it('a CSV file is checked with its faults as a table, imported, undone, and the list is exported', async () => {
  const name = uniqueName('moved')
  const rows = Array.from({ length: 10 }, (_, index) => `${name}.${index},${name}`)
  rows[3] = `not a username,${name}`
  rows[7] = `,${name}`
  const buffer = Buffer.from(['username,name', ...rows, ''].join('\n'))
  const page = await open('/imports')
  const file = { name: 'users.csv', mimeType: 'text/csv', buffer }
  await page.getByLabel('File, also compressed by gzip or Zstandard').setInputFiles(file)
  await page.getByRole('button', { name: 'Check the file' }).click()
  const table = page.getByRole('table', { name: 'Refused rows' })
  await table.waitFor()
  expect(await table.getByRole('row').count()).toBe(3)
  const count = async () =>
    (await service.call<{ items: unknown[] }>('GET', `/user?search=${name}`)).body.items.length
  expect(await count()).toBe(0)

  await page.getByRole('button', { name: 'Import these users' }).click()
  await page.getByRole('heading', { name: 'Import', exact: true }).waitFor()
  const undo = page.getByRole('button', { name: 'Undo: erase the created users' })
  await undo.waitFor()
  expect(await count()).toBe(8)

  await page.goto(new URL(`/console/users?search=${name}`, page.url()).href)
  await page.getByText('8 users').waitFor()
  await page.getByRole('button', { name: 'Export…' }).click()
  await page.getByRole('button', { name: 'Export', exact: true }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download the file' }).click()
  const exported = await readFile(await (await download).path(), 'utf8')
  expect(exported.trimEnd().split('\n')).toHaveLength(9)

  await page.goBack()
  await undo.click()
  await page.getByRole('heading', { name: 'Undo of an import' }).waitFor()
  await page.getByText('Done').waitFor()
  expect(await count()).toBe(0)
})
