// Persons who type, leave or lose the connection at the wrong moment lose nothing, and the console does not surprise them.
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { uniqueName } from '../../test/support/service.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const nameField = (page: Page) => page.getByLabel('Name', { exact: true })

/** Holds requests of a method back. @returns a function that lets them go */
async function hold(page: Page, method: string): Promise<() => void> {
  const held = Promise.withResolvers<void>()
  await page.route('**/console/api/user**', async (route) => {
    if (route.request().method() === method) await held.promise
    await route.continue()
  })
  return held.resolve
}

async function edit(id: string): Promise<Page> {
  const page = await open(`/users/${id}`)
  await button(page, 'Edit e').click()
  return page
}

it('input that is typed while a save runs stays in the form, and the next save stores it', async () => {
  const user = await service.makeUser()
  const page = await edit(user.id)
  const letGo = await hold(page, 'PATCH')
  await nameField(page).fill('First')
  await button(page, 'Save').click()
  await button(page, 'Saving…').waitFor()
  const externalId = uniqueName('late')
  await page.getByLabel('External id').fill(externalId)
  letGo()
  await page.getByText(`${user.username} is saved.`).waitFor()
  expect(await page.getByLabel('External id').inputValue()).toBe(externalId)
  await button(page, 'Save').click()
  await button(page, 'Edit e').waitFor()
  const { body } = await service.call('GET', `/user/${user.id}`)
  expect(body).toMatchObject({ name: 'First', external_id: externalId })
})

it('a conflict whose other change cannot be loaded is said, keeps the input, and is tried again', async () => {
  const user = await service.makeUser({ name: 'Before' })
  const page = await edit(user.id)
  await nameField(page).fill('Mine')
  await service.call('PATCH', `/user/${user.id}`, { json: { name: 'Theirs' } })
  const address = `**/console/api/user/${user.id}`
  await page.route(address, (route) =>
    route.request().method() === 'GET' ? route.abort() : route.continue(),
  )
  await button(page, 'Save').click()
  await page.getByText('The server cannot be reached.').waitFor()
  expect(await nameField(page).inputValue()).toBe('Mine')
  await page.unroute(address)
  await button(page, 'Try again').click()
  await page.getByRole('dialog', { name: 'Somebody else has changed this user' }).waitFor()
})

it('a creation or erasure that ends after the person has left leads nowhere', async () => {
  const page = await open('/users/new')
  const letCreate = await hold(page, 'POST')
  const username = uniqueName('left')
  await page.getByLabel('Username').fill(username)
  await button(page, 'Create').click()
  await button(page, 'Creating…').waitFor()
  await page.getByRole('link', { name: 'Health' }).click()
  await button(page, 'Discard the changes').click()
  await page.getByRole('heading', { name: 'The last hour' }).waitFor()
  letCreate()
  await page.getByText(`${username} is created.`).waitFor()
  expect(page.url()).toContain('/service-health')

  const erased = await service.makeUser()
  const other = await open(`/users/${erased.id}`)
  const letErase = await hold(other, 'DELETE')
  await button(other, 'Erase…').click()
  await other.getByLabel('To confirm').fill(erased.username)
  await button(other, 'Erase').click()
  // The button that waits keeps the focus, so that the key reaches the dialog.
  await other.keyboard.press('Escape')
  await other.getByRole('link', { name: 'Health' }).click()
  await other.getByRole('heading', { name: 'The last hour' }).waitFor()
  letErase()
  await other.getByText(`${erased.username} is erased.`).waitFor()
  expect(other.url()).toContain('/service-health')
})

it('without a connection the list still opens its menus and users, and the page stays', async () => {
  const user = await service.makeUser()
  const page = await open(`/users?search=${user.username}`)
  await page.getByRole('row', { name: user.username }).waitFor()
  // The browser fetches the other screens when it is idle.
  const screens = `[...document.querySelectorAll('link[rel=prefetch]')].every(({ href }) =>
    performance.getEntriesByName(href).length > 0)`
  await page.waitForFunction(screens)
  await page.context().setOffline(true)
  await button(page, 'Columns').click()
  await page.getByRole('menuitemcheckbox', { name: 'Username' }).waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('row', { name: user.username }).click()
  await page.getByText('The server cannot be reached.').waitFor()
  await page.context().setOffline(false)
  await button(page, 'Try again').click()
  await button(page, 'Edit e').waitFor()
})

it('long names fit into dialogs and messages on a narrow screen', async () => {
  const username = `${uniqueName('long')}.${'verylong'.repeat(10)}`
  const user = await service.makeUser({ username, name: 'Before' })
  const context = { viewport: { width: 320, height: 640 } }
  const page = await open(`/users/${user.id}`, { context })
  const isWide = (selector: string) =>
    page.evaluate(`[...document.querySelectorAll('${selector}')].some((e) => e.scrollWidth > e.clientWidth)`)
  await button(page, 'Erase…').click()
  await page.getByRole('dialog').waitFor()
  expect(await isWide('[role=dialog], [role=dialog] h2')).toBe(false)
  await button(page, 'Cancel').click()
  await button(page, 'Edit e').click()
  await nameField(page).fill('M'.repeat(100))
  await service.call('PATCH', `/user/${user.id}`, { json: { name: 'T'.repeat(100) } })
  await button(page, 'Save').click()
  await page.getByRole('dialog').waitFor()
  expect(await isWide('[role=dialog] *:not(.sr-only)')).toBe(false)
  await button(page, 'Save these values').click()
  await page.getByText('is saved.').waitFor()
  expect(await isWide('[role=status] *')).toBe(false)
})

it('Escape, a press outside and another screen ask before they discard input', async () => {
  const user = await service.makeUser()
  const page = await open(`/users/${user.id}`)
  const dialog = page.getByRole('dialog', { name: `Password of ${user.username}` })
  const question = page.getByRole('alertdialog', { name: 'Leave without saving?' })
  const field = page.getByLabel('New password')
  const pressOutside = () => page.mouse.click(5, 400)
  for (const leave of [() => page.keyboard.press('Escape'), pressOutside]) {
    await button(page, 'Password…').click()
    await field.waitFor()
    await leave()
    await dialog.waitFor({ state: 'detached' })
    await button(page, 'Password…').click()
    await field.fill('a long password')
    await leave()
    await question.waitFor()
    await page.keyboard.press('Escape')
    await button(page, 'Stay').click()
    await question.waitFor({ state: 'detached' })
    expect(await field.inputValue()).toBe('a long password')
    await leave()
    await button(page, 'Discard the changes').click()
    await dialog.waitFor({ state: 'detached' })
  }
  await page.getByRole('link', { name: 'Import' }).click()
  const file = {
    name: 'users.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from('username,team\nada,Engines\n'),
  }
  await page.getByLabel('File, also compressed').setInputFiles(file)
  await page.getByLabel('Attribute of team').fill('crew')
  await page.getByRole('link', { name: 'Health' }).click()
  await button(page, 'Stay').click()
  expect(await page.getByLabel('Attribute of team').inputValue()).toBe('crew')
})

it('attributes keep their values through a change of type, and numbers are stored as they are shown', async () => {
  const attributes = { note: 'hello', most: 2 ** 53 - 1, part: 0.1 }
  const user = await service.makeUser({ attributes })
  const page = await edit(user.id)
  const names = await page
    .getByLabel(/^Name of attribute/)
    .evaluateAll((all) => all.map((field) => (field as unknown as { value: string }).value))
  const place = (name: string) => names.indexOf(name) + 1
  const type = page.getByLabel(`Type of attribute ${place('note')}`)
  const note = page.getByLabel(`Value of attribute ${place('note')}`)
  await type.selectOption('boolean')
  await note.selectOption('true')
  await type.selectOption('text')
  expect(await note.inputValue()).toBe('hello')
  const most = page.getByLabel(`Value of attribute ${place('most')}`)
  expect(await most.inputValue()).toBe('9007199254740991')
  await most.fill('9007199254740993')
  await button(page, 'Save').click()
  await page.getByText('keep a longer one as text').waitFor()
  await most.fill('9007199254740991')
  await nameField(page).fill('After')
  await button(page, 'Save').click()
  await button(page, 'Edit e').waitFor()
  const { body } = await service.call('GET', `/user/${user.id}`)
  expect(body).toMatchObject({ name: 'After', attributes })
})

it('a save without a change does not bring back an older version', async () => {
  const user = await service.makeUser({ name: 'Before' })
  const page = await edit(user.id)
  await service.call('PATCH', `/user/${user.id}`, { json: { name: 'Theirs' } })
  // The page loads the user again when the person returns to the tab.
  await page.clock.install()
  await page.clock.fastForward(60_000)
  await page.evaluate(`document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))`)
  await page.getByRole('heading', { name: 'Theirs' }).waitFor()
  await button(page, 'Save').click()
  await button(page, 'Edit e').waitFor()
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Theirs')
})

it('a double click and a repeated Enter send a change once', async () => {
  const user = await service.makeUser()
  const page = await edit(user.id)
  const sent: string[] = []
  page.on('request', (request) => {
    if (request.method() !== 'GET') sent.push(`${request.method()} ${new URL(request.url()).pathname}`)
  })
  await nameField(page).fill('Once')
  await button(page, 'Save').dblclick()
  await button(page, 'Edit e').waitFor()
  await button(page, 'Password…').click()
  const field = page.getByLabel('New password')
  await field.fill('a long password')
  // Both keys arrive before the page renders.
  await field.evaluate((input: { form: { requestSubmit(): void } }) => {
    input.form.requestSubmit()
    input.form.requestSubmit()
  })
  await page.getByText('The password is set.').waitFor()
  expect(sent).toEqual([`PATCH /console/api/user/${user.id}`, `PATCH /console/api/user/${user.id}`])
})
