// A list of 12,000 users has few rows in the document.
import { expect, it } from 'vitest'
import { seedSamples } from '../../src/dev/samples.ts'
import { until } from '../../test/support/wait.ts'
import { startConsole } from './support/console.ts'

// More than are counted exactly.
const count = 12_000
const rowsMax = 100
/** Of 50 users each. */
const scrolledPages = 40
const requestMsMax = 1_000

const { service, open } = await startConsole()
await seedSamples(service.connections, count, { suffix: '' })

/** Scrolls by most of a screen, as a person does who holds the key. */
const scroll = `(() => {
  const grid = document.querySelector('[role=grid]')
  grid.scrollTop += grid.clientHeight * 0.9
  return grid.querySelectorAll('[role=row]').length
})()`

it('of twelve thousand users at most a hundred are in the document, however far a person scrolls', async () => {
  const page = await open('/users')
  await page.getByText('estimate').waitFor()
  await page.getByRole('row').nth(1).waitFor()
  let pages = 0
  const slow: string[] = []
  page.on('requestfinished', (request) => {
    const { responseEnd, requestStart } = request.timing()
    if (!request.url().includes('/console/api/user?')) return
    pages++
    if (responseEnd - requestStart > requestMsMax) slow.push(request.url())
  })
  const rows: number[] = []
  // More pages than the browser holds, so that the first ones were dropped on the way.
  await until(
    'many pages to be scrolled',
    async () => {
      rows.push((await page.evaluate(scroll)) as number)
      return pages >= scrolledPages
    },
    100_000,
  )
  expect(Math.max(...rows)).toBeLessThanOrEqual(rowsMax)
  expect(slow).toEqual([])
})
