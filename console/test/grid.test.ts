// The grid of users: its keys, its headings, and selecting with the mouse.
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { uniqueName } from '../../test/support/service.ts'
import { until } from '../../test/support/wait.ts'
import { rowAfter } from '../src/list/row-after.ts'
import { extended, toggled } from '../src/list/selected-ids.ts'
import { startConsole } from './support/console.ts'

const { service, open } = await startConsole()

const name = uniqueName('grid')
for (let count = 0; count < 5; count++) await service.makeUser({ name: `${name} ${count}` })

const row = (page: Page, at: number) => page.getByRole('row', { name: `${name} ${at}` })
const isFocused = (page: Page, at: number) =>
  until(`the focus on row ${at}`, async () => (await row(page, at).and(page.locator(':focus')).count()) === 1)
const openList = async () => {
  const page = await open(`/users?search=${name}&sort=name`)
  await page.getByText('5 users').waitFor()
  return page
}

it('the arrows, Home, End and the page keys lead to a row, and above the first one to the headings', () => {
  const keys = ['ArrowDown', 'ArrowUp', 'Home', 'End', 'PageDown', 'PageUp', 'x']
  const from = (index: number) => keys.map((key) => rowAfter(key, { index, count: 10, visibleRows: 4 }))
  expect(from(0)).toEqual([1, -1, 0, 9, 4, 0, undefined])
  expect(from(7)).toEqual([8, 6, 0, 9, 9, 3, undefined])
  expect(from(9)).toEqual([9, 8, 0, 9, 9, 5, undefined])
})

it('a range that is extended and shrunk again selects the users between its ends', () => {
  const ids = ['a', 'b', 'c', 'd', 'e']
  const extend = (selected: string, [anchor, from, to]: [number, number, number]) =>
    [...extended(new Set(selected), ids, { anchor, from, to })].sort().join('')
  expect(extend('b', [1, 1, 3])).toBe('bcd')
  expect(extend('bcd', [1, 3, 0])).toBe('ab')
  expect(extend('ad', [3, 3, 4])).toBe('ade')
  expect([...toggled('all', ids, 'c')]).toEqual(['a', 'b', 'd', 'e'])
})

it('rows follow each other without a gap', async () => {
  const page = await openList()
  const edges = (await page.evaluate(`[...document.querySelectorAll('[role=row]')].map((row) => {
    const { top, bottom } = row.getBoundingClientRect()
    return { top, bottom }
  })`)) as { top: number; bottom: number }[]
  expect(edges.slice(1).map(({ top }) => top)).toEqual(edges.slice(0, -1).map(({ bottom }) => bottom))
})

it('keys move through rows and headings, in both directions of the page, and Ctrl A selects the loaded users', async () => {
  const page = await openList()
  await row(page, 0).focus()
  await page.keyboard.press('End')
  await isFocused(page, 4)
  await page.keyboard.press('Home')
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await page.evaluate(`document.documentElement.dir = 'rtl'`)
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('Enter')
  await until('the descending sort', () => page.url().includes('sort=-name'))
  await page.keyboard.press('ArrowDown')
  await isFocused(page, 0)
  await page.keyboard.press('Control+a')
  await page.getByText('5 users selected').waitFor()
  await page.keyboard.press('Space')
  await page.getByText('4 users selected').waitFor()
})

it('boxes and Shift select with the mouse, selected rows look different, and Ctrl opens a user in a new tab', async () => {
  const page = await openList()
  const color = (at: number) =>
    page.evaluate(`getComputedStyle(document.querySelector('[data-index="${at}"]')).backgroundColor`)
  await row(page, 1).getByRole('checkbox').click()
  await page.getByText('1 user selected').waitFor()
  await row(page, 3)
    .getByText(name)
    .click({ modifiers: ['Shift'] })
  await page.getByText('3 users selected').waitFor()
  expect(await color(2)).not.toBe(await color(4))
  expect(await row(page, 2).getAttribute('aria-selected')).toBe('true')
  await row(page, 2).getByText(name).click()
  await page.getByText('2 users selected').waitFor()
  const opened = page.context().waitForEvent('page')
  await row(page, 4)
    .getByRole('link')
    .click({ modifiers: ['ControlOrMeta'] })
  await (await opened).getByRole('heading', { name: `${name} 4` }).waitFor()
  await page.getByText('2 users selected').waitFor()
})
