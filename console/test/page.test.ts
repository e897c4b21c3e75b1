// Rules that hold on every screen: no token, a session that may end, a lost connection, a person without a role.
import { expect, it } from 'vitest'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()

const user = await service.makeUser({
  name: 'Ada Lovelace',
  contacts: [{ contact_type: 'PHONE', value: '+44 20 7946 0958' }],
  attributes: { department: 'Engines', floor: 3, remote: true },
})

it('a person who is not signed in signs in by a link, and returns to the page', async () => {
  const page = await open(`/users/${user.id}?search=ada`)
  const address = page.url()
  await page.context().clearCookies()
  await page.reload()
  await page.getByRole('link', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
  expect(page.url()).toBe(address)
})

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
  const refused: string[] = []
  page.on('response', (response) => {
    if (response.status() >= 400) refused.push(response.url())
  })
  await page.reload({ waitUntil: 'networkidle' })
  await page.getByRole('heading', { name: 'You have no role in this directory' }).waitFor()
  expect(refused).toEqual([])
  expect(await page.getByRole('row').count()).toBe(0)
})
