// Administrators find, change and block users in the browser, on the real server.
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import type { User } from '../../src/model/user.ts'
import { uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()

const read = async (id: string) => (await service.call<User>('GET', `/user/${id}`)).body
const row = (page: Page, username: string) => page.getByRole('row', { name: username })
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

it('an administrator finds a user by a telephone number, blocks it and takes that back', async () => {
  const digits = String(Date.now()).slice(-9)
  const contacts = [{ contact_type: 'PHONE', value: `+44 ${digits.slice(0, 4)} ${digits.slice(4)}` }]
  const user = await service.makeUser({ contacts })
  await service.makeUser()
  const page = await open('/')
  await page.keyboard.press('/')
  await page.keyboard.type(digits)
  await row(page, user.username).click()
  await button(page, 'Block').click()
  await page.getByText(`${user.username} is blocked.`).waitFor()
  expect((await read(user.id)).status).toBe('BLOCKED')
  await button(page, 'Undo').click()
  await page.getByText(`${user.username} is active again.`).waitFor()
  expect((await read(user.id)).status).toBe('ACTIVE')
})

it('a row that is clicked while a search is still being typed is opened, however late its screen loads', async () => {
  const user = await service.makeUser({ name: uniqueName('early') })
  const page = await open(`/users?search=${user.name}`)
  await row(page, user.username).waitFor()
  const searched = page.waitForRequest((request) => request.url().includes(`search=${user.username}`))
  await page.route('**/assets/*.js', async (route) => {
    await searched
    await route.continue()
  })
  await page.getByRole('searchbox').fill(user.username)
  await row(page, user.username).click()
  await button(page, 'Block').waitFor()
})

it('matches are counted after their rows have come', async () => {
  const page = await open('/users')
  const events: string[] = []
  const kindOf = (address: string) => (address.includes('count=') ? 'count' : 'rows')
  const isFound = (address: string) => new URL(address).searchParams.get('search') === 'counted'
  page.on('request', (request) => isFound(request.url()) && events.push(`ask ${kindOf(request.url())}`))
  page.on('response', (response) => isFound(response.url()) && events.push(`get ${kindOf(response.url())}`))
  await page.getByRole('searchbox').fill('counted')
  await expect.poll(() => events).toEqual(['ask rows', 'get rows', 'ask count', 'get count'])
})

it('search, filters, sort and columns are in the address, so that a link shows the same', async () => {
  const name = uniqueName('linked')
  const users = [await service.makeUser({ name: `${name} A` }), await service.makeUser({ name: `${name} B` })]
  await service.makeUser({ name: `${name} C`, status: 'BLOCKED' })
  const page = await open('/users')
  await page.getByRole('searchbox').fill(name)
  await page.getByText('3 users').waitFor()
  await button(page, 'Filters').click()
  await page.getByLabel('Status').selectOption('ACTIVE')
  await page.getByText('2 users').waitFor()
  await page.getByRole('columnheader', { name: 'Name', exact: true }).click()
  await until('the sort in the address', () => page.url().includes('sort=name'))
  const names = () => page.getByRole('row').getByText(name, { exact: false }).allTextContents()
  await page.goto(page.url())
  await row(page, users[0]?.username ?? '').waitFor()
  expect(await names()).toEqual([`${name} A`, `${name} B`])
  expect(page.url()).toContain('status=ACTIVE')
})

it('one button shows the users that changed since yesterday, the latest first, with the time of their change', async () => {
  const name = uniqueName('changed')
  const [first, second, old] = await Promise.all(
    ['first', 'second', 'old'].map((part) => service.makeUser({ name: `${name} ${part}` })),
  )
  await service.connections.db.query((queries) =>
    queries.unprepared(`UPDATE users SET updated_at = now() - interval '3 days' WHERE id = $1`, [old?.id]),
  )
  await service.call('PATCH', `/user/${first?.id}`, { json: { status: 'BLOCKED' } })
  const page = await open(`/users?search=${name}`)
  await page.getByText('3 users').waitFor()
  await button(page, 'Filters').click()
  await button(page, 'Changed since yesterday').click()
  await page.getByText('2 users').waitFor()
  await page.getByRole('columnheader', { name: 'Changed', exact: true }).waitFor()
  const names = () => page.getByRole('row').getByText(name).allTextContents()
  await until('the latest change first', async () => (await names())[0] === first?.name)
  expect(await names()).toEqual([first?.name, second?.name])
})

it('a list from right to left shows its cells, also where it is wider than the page', async () => {
  const user = await service.makeUser()
  const page = await open(`/users?search=${user.username}`, {
    context: { viewport: { width: 320, height: 640 } },
  })
  await page.evaluate(`document.documentElement.dir = 'rtl'`)
  await page.getByText(user.username, { exact: true }).click()
  await button(page, 'Block').waitFor()
})

it('an edit is saved with its contacts in their new order', async () => {
  const contacts = ['one', 'two'].map((value) => ({ contact_type: 'WORK', value }))
  const user = await service.makeUser({ contacts })
  const page = await open(`/users/${user.id}`)
  await button(page, 'Edit e').waitFor()
  await page.keyboard.press('e')
  await page.getByLabel('Name', { exact: true }).fill('New Name')
  await page.getByLabel('Contact 2', { exact: true }).press('Alt+ArrowUp')
  await button(page, 'Save').click()
  await page.getByText(`${user.username} is saved.`).waitFor()
  const saved = await read(user.id)
  expect([saved.name, ...saved.contacts.map(({ value }) => value)]).toEqual(['New Name', 'two', 'one'])
  expect(saved.contacts.map(({ id }) => id)).toEqual(user.contacts.map(({ id }) => id).reverse())
})

it('a change made between load and save is shown beside the own one, and neither is lost', async () => {
  const user = await service.makeUser({ name: 'Before' })
  const page = await open(`/users/${user.id}`)
  await button(page, 'Edit e').click()
  await page.getByLabel('Name', { exact: true }).fill('Mine')
  const json = { name: 'Theirs', external_id: uniqueName('theirs') }
  await service.call('PATCH', `/user/${user.id}`, { json })
  await button(page, 'Save').click()
  const dialog = page.getByRole('dialog', { name: 'Somebody else has changed this user' })
  await dialog.waitFor()
  expect(await dialog.getByRole('rowheader').allTextContents()).toEqual(['Name', 'External id'])
  expect(await dialog.getByLabel('Name, yours:').isChecked()).toBe(true)
  expect(await dialog.getByLabel('External id, theirs:').isChecked()).toBe(true)
  expect((await read(user.id)).name).toBe('Theirs')
  await button(page, 'Save these values').click()
  await page.getByText(`${user.username} is saved.`).waitFor()
  expect(await read(user.id)).toMatchObject({ name: 'Mine', external_id: json.external_id })
})

it("the API's faults are shown at their fields, and the first of them gets the focus", async () => {
  const page = await open('/users/new')
  await page.getByLabel('Username').fill('not a username')
  await button(page, 'Add a contact').click()
  await page.getByLabel('Type of contact 1').selectOption('EMAIL')
  await page.getByLabel('Contact 1', { exact: true }).fill('no address')
  await page.getByLabel('Password').fill('short')
  await button(page, 'Create').click()
  await page.getByText('must be 8 to 128 characters').first().waitFor()
  for (const label of ['Username', 'Contact 1', 'Password'])
    expect(await page.getByLabel(label, { exact: true }).getAttribute('aria-invalid')).toBe('true')
  await page.getByLabel('Username').and(page.locator(':focus')).waitFor()
  const username = uniqueName('created')
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Contact 1', { exact: true }).fill('person@example.com')
  await page.getByLabel('Password').fill('a long password')
  await button(page, 'Create').click()
  await page.getByText(`${username} is created.`).waitFor()
})

it('the keyboard alone is enough to select, open, edit, save and leave', async () => {
  const name = uniqueName('keys')
  const users = [await service.makeUser({ name }), await service.makeUser({ name })]
  const page = await open(`/users?search=${name}&sort=created_at`)
  await page.getByText('2 users').waitFor()
  await page.getByRole('searchbox').focus()
  await until('the focus in the grid', async () => {
    await page.keyboard.press('Tab')
    return (await page.getByRole('grid').locator(':focus').count()) > 0
  })
  await page.keyboard.press('j')
  await page.keyboard.press('k')
  await page.keyboard.press('Space')
  await page.getByText('1 user selected').waitFor()
  await page.keyboard.press('Shift+ArrowDown')
  await page.getByText('2 users selected').waitFor()
  await page.keyboard.press('Escape')
  await page.keyboard.press('Enter')
  await button(page, 'Edit e').waitFor()
  expect(page.url()).toContain(users[1]?.id)
  await page.keyboard.press('e')
  await page.getByLabel('Username').waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.type('!')
  await page.keyboard.press('Enter')
  await page.getByText(`${users[1]?.username} is saved.`).waitFor()
  await page.keyboard.press('Control+k')
  await page.getByRole('dialog', { name: 'Commands' }).waitFor()
  await page.keyboard.type('health')
  await page.getByRole('option', { name: 'Show the health' }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Health' }).waitFor()
})

it('unsaved input is kept until the person discards it', async () => {
  const user = await service.makeUser()
  const page = await open(`/users/${user.id}`)
  await button(page, 'Edit e').click()
  await page.getByLabel('Name', { exact: true }).fill('Unsaved')
  await page.getByRole('link', { name: 'Health' }).click()
  await button(page, 'Stay').click()
  expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('Unsaved')
  await page.getByRole('link', { name: 'Health' }).click()
  await button(page, 'Discard the changes').click()
  await page.getByRole('heading', { name: 'Health' }).waitFor()
})

it('erasing asks for the username', async () => {
  const user = await service.makeUser()
  const page = await open(`/users/${user.id}`)
  await button(page, 'Erase…').click()
  const dialog = page.getByRole('dialog')
  expect(await button(page, 'Erase').isDisabled()).toBe(true)
  await dialog.getByLabel('To confirm, type the username').fill(user.username)
  await button(page, 'Erase').click()
  await page.getByText(`${user.username} is erased.`).waitFor()
  expect((await service.call('GET', `/user/${user.id}`)).status).toBe(404)
})

it('a reader sees users and cannot change them', async () => {
  const user = await service.makeUser()
  const page = await open(`/users?search=${user.username}`, { role: 'readers' })
  await row(page, user.username).waitFor()
  expect(await page.getByRole('checkbox').count()).toBe(0)
  expect(await button(page, 'Create a user').count()).toBe(0)
  await row(page, user.username).click()
  await page.getByRole('heading', { name: user.name ?? user.username }).waitFor()
  await page.keyboard.press('e')
  for (const name of ['Edit e', 'Block', 'Erase…']) expect(await button(page, name).count()).toBe(0)
  expect(await page.getByLabel('Username').count()).toBe(0)
})
