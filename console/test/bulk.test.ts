// Administrators change many users in the browser: some selected ones, or all that match.
import { readFile } from 'node:fs/promises'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import type { User } from '../../src/model/user.ts'
import { ndjson, runImport } from '../../test/support/import.ts'
import { startJobRunner } from '../../test/support/job-runner.ts'
import { uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })

/** Users whom the list finds by their name. */
async function makeUsers(count: number, fields: object = {}): Promise<string> {
  const name = uniqueName('many')
  await runImport(
    service,
    ndjson(
      Array.from({ length: count }, (_, at) => ({
        username: `${name}.${at}`,
        name,
        password: null,
        ...fields,
      })),
    ),
  )
  return name
}

/** How many users of the name have which status and attributes. */
async function statesOf(name: string): Promise<Record<string, number>> {
  const rows = await service.connections.db.query((queries) =>
    queries.unprepared<{ state: string; count: number }>(
      `SELECT status || ' ' || attributes AS state, count(*)::int FROM users WHERE name = $1 GROUP BY 1 ORDER BY 1`,
      [name],
    ),
  )
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]))
}

/** Waits first, because a list takes no clicks while it scrolls. */
async function selectLoaded(page: Page): Promise<void> {
  await until('the list to take clicks', () =>
    page.evaluate(`[...document.querySelectorAll('[role=grid] [role=rowheader]')].some((cell) => {
      const { left, top } = cell.getBoundingClientRect()
      return cell.contains(document.elementFromPoint(left + 5, top + 5))
    })`),
  )
  await page.getByLabel('Select all loaded users').click({ force: true })
}

const first = await makeUsers(3)
const many = await makeUsers(120)
// From here on, because imports of these tests run at once.
startJobRunner(service)

it('selected users are blocked together, and the undo restores those that the job blocked', async () => {
  const list = await service.call<{ items: User[] }>('GET', `/user?search=${first}`)
  await service.call('PATCH', `/user/${list.body.items[2]?.id}`, { json: { status: 'BLOCKED' } })
  const page = await open(`/users?search=${first}`)
  await page.getByText('3 users', { exact: true }).waitFor()
  await selectLoaded(page)
  await page.getByText('3 users selected').waitFor()
  await button(page, 'Block').click()
  await page.getByText('3 users will be blocked').waitFor()
  await page.getByRole('dialog').getByRole('button', { name: 'Block' }).click()
  await page.getByText('Done', { exact: true }).waitFor()
  expect(await statesOf(first)).toEqual({ 'BLOCKED {}': 3 })
  await button(page, 'Undo').click()
  await page.getByRole('dialog', { name: 'Undo of a bulk change' }).getByText('Done').waitFor()
  expect(await statesOf(first)).toEqual({ 'ACTIVE {}': 2, 'BLOCKED {}': 1 })
  await button(page, 'Close').click()
  // The list shows what the jobs did.
  await page.getByRole('row').getByText('Blocked').waitFor()
  expect(await page.getByRole('region', { name: 'Selected users' }).count()).toBe(0)
})

it('all that match are more than the loaded ones, and the keyboard alone sets an attribute of them', async () => {
  const page = await open(`/users?search=${many}`)
  await page.getByText('120 users', { exact: true }).waitFor()
  const tabTo = (name: string) =>
    until(name, async () => {
      await page.keyboard.press('Tab')
      return (await button(page, name).and(page.locator(':focus')).count()) > 0
    })
  await page.getByRole('searchbox').focus()
  await until('the focus in the grid', async () => {
    await page.keyboard.press('Tab')
    return (await page.getByRole('grid').locator(':focus').count()) > 0
  })
  await page.keyboard.press('Space')
  await page.getByText('1 user selected').waitFor()
  await page.getByRole('searchbox').focus()
  await tabTo('Select all that match: 120 users')
  await page.keyboard.press('Enter')
  await page.getByText('All that match are selected: 120 users').waitFor()
  await tabTo('Set an attribute…')
  await page.keyboard.press('Enter')
  await page.getByText('120 users will be changed.').waitFor()
  await page.keyboard.type('plan')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.type('paid')
  await page.keyboard.press('Enter')
  await page.getByText('Done', { exact: true }).waitFor()
  expect(await statesOf(many)).toEqual({ 'ACTIVE {"plan": "paid"}': 120 })
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })

  await page.getByRole('link', { name: 'Import', exact: true }).click()
  const jobs = page.getByRole('region', { name: 'Latest bulk changes' })
  await jobs.getByRole('link', { name: 'Set attributes' }).first().click()
  await page.getByRole('heading', { name: 'Set attributes' }).waitFor()
  await button(page, 'Undo').click()
  await page.getByRole('heading', { name: 'Undo of a bulk change' }).waitFor()
  await page.getByText('Done', { exact: true }).waitFor()
  expect(await statesOf(many)).toEqual({ 'ACTIVE {}': 120 })
})

it('erasing all that match asks for their exact number', async () => {
  const name = await makeUsersBeside(60)
  const page = await open(`/users?search=${name}`)
  await page.getByText('60 users', { exact: true }).waitFor()
  await selectLoaded(page)
  await page.getByText('50 users selected').waitFor()
  await button(page, 'Select all that match: 60 users').click()
  await button(page, 'Erase…').click()
  const dialog = page.getByRole('dialog', { name: 'Erase users' })
  const field = dialog.getByLabel('To confirm, type the number of users: 60')
  const erase = dialog.getByRole('button', { name: 'Erase' })
  await field.fill('50')
  expect(await erase.isDisabled()).toBe(true)
  await field.fill('60')
  await erase.click()
  await page.getByText('Done', { exact: true }).waitFor()
  expect(await button(page, 'Undo').count()).toBe(0)
  expect(await statesOf(name)).toEqual({})
  await button(page, 'Close').click()
  await page.getByText('No user matches.').waitFor()
})

it('the own account is kept, and the dialog says so', async () => {
  const page = await open('/users')
  const session = (await page.evaluate(`fetch('/console/session').then((answer) => answer.json())`)) as {
    user: { username: string }
  }
  const { username } = session.user
  await service.makeUser({ username })
  await page.getByRole('searchbox').fill(username)
  await page.getByText('1 user', { exact: true }).waitFor()
  await selectLoaded(page)
  await button(page, 'Erase…').click()
  await page.getByLabel('To confirm').fill('1')
  await page.getByRole('dialog').getByRole('button', { name: 'Erase' }).click()
  await page.getByText('it is the account that created the job').waitFor()
  await button(page, 'Close').click()
  await page.getByRole('row', { name: username }).waitFor()
})

it('a selection is exported alone, and a poll does not count as use of the session', async () => {
  const page = await open(`/users?search=${first}`)
  await page.getByText('3 users', { exact: true }).waitFor()
  await page
    .getByRole('row', { name: `${first}.1` })
    .getByRole('checkbox')
    .click({ force: true })
  await page.getByText('1 user selected').waitFor()
  const polls: (string | undefined)[] = []
  page.on('request', (request) => {
    if (/\/api\/export\/[\w-]+$/.test(request.url())) polls.push(request.headers()['x-console-poll'])
  })
  await button(page, 'Export the selection…').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Export' }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download the file' }).click()
  const lines = (await readFile(await (await download).path(), 'utf8')).trimEnd().split('\n')
  expect(lines).toHaveLength(2)
  expect(lines[1]).toContain(`${first}.1,`)
  expect(polls[0]).toBeUndefined()
  expect(new Set(polls.slice(1))).toEqual(new Set(polls.length > 1 ? ['1'] : []))
})

it('more than a hundred selected users are exported as one file', async () => {
  const page = await open(`/users?search=${many}`)
  await page.getByText('120 users', { exact: true }).waitFor()
  await until('all users to be loaded', async () => {
    await page.getByRole('grid').evaluate((grid) => grid.scrollTo(0, grid.scrollHeight))
    return (await page.getByRole('grid').getAttribute('aria-rowcount')) === '121'
  })
  await selectLoaded(page)
  await page.getByText('120 users selected').waitFor()
  await button(page, 'Export the selection…').click()
  await page.getByRole('dialog').getByRole('button', { name: 'Export' }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download the file' }).click()
  const lines = (await readFile(await (await download).path(), 'utf8')).trimEnd().split('\n')
  expect(lines).toHaveLength(121)
})

it('a saved view shows the same list again, also after a reload, until it is removed', async () => {
  const page = await open(`/users?search=${many}&sort=name&status=ACTIVE`)
  const views = button(page, 'Views')
  await views.click()
  await page.getByRole('menuitem', { name: 'Save this view…' }).click()
  await page.getByLabel('Name').fill('Many of them')
  await button(page, 'Save').click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.goto(new URL('/console/users', page.url()).href)
  await views.click()
  await page.getByRole('menuitem', { name: 'Many of them' }).click()
  await page.getByText('120 users', { exact: true }).waitFor()
  for (const part of [`search=${many}`, 'sort=name', 'status=ACTIVE']) expect(page.url()).toContain(part)
  await views.click()
  await page.getByRole('menuitem', { name: 'Remove a view…' }).click()
  await button(page, 'Remove Many of them').click()
  await views.click()
  await page.getByRole('menuitem', { name: 'Save this view…' }).waitFor()
  expect(await page.getByRole('menuitem', { name: 'Many of them' }).count()).toBe(0)
})

/** As `makeUsers`, while the job runner is at work. */
async function makeUsersBeside(count: number): Promise<string> {
  const name = uniqueName('many')
  for (let at = 0; at < count; at++)
    await service.makeUser({ username: `${name}.${at}`, name, password: null })
  return name
}
