// Benchmarks the console in Chromium: scrolling, typing, sorts and filters of a large directory, and memory after minutes of use.
import { createInterface } from 'node:readline'
import { type CDPSession, launchChromium, type Page } from '../console/test/support/launch-chromium.ts'
import { until } from '../test/support/wait.ts'
import { buildConsole } from '../tools/built-console.mjs'
import { median, quantile } from './figures.ts'
import { startService } from './servers.ts'
import type { Undo } from './undo.ts'

const scrolledRows = 20_000
const pageSize = 50
const useMs = 120_000
/** The console keeps lists for a minute, which would hide a leak. */
const idleMs = 65_000
const allColumns = 'username,name,status,contacts,external_id,attributes,created_at,updated_at'

type Setting = { env: Record<string, string>; cwd: string; undo: Undo; rounds: number }
type List = {
  page: Page
  /** Opens the list with these parameters. */
  open: (parameters: string) => Promise<void>
  /** The durations of list requests since the last call, by the server's log. */
  takeTimes: () => number[]
}

/** @param setting.rounds for the memory, of two minutes' use each */
export async function benchConsole(setting: Setting): Promise<void> {
  if (!buildConsole()) throw new Error('The console could not be built')
  const list = await openList(setting)
  await benchScrolling(list)
  await benchOrders(list)
  await benchTyping(list)
  await benchMemory(list, setting.rounds)
}

async function openList({ env, cwd, undo }: Setting): Promise<List> {
  const service = await startService({ env, cwd, undo, log: 'pipe' })
  const { stdout } = service.process
  if (!stdout) throw new Error('The log of the service is not a pipe')
  let times: number[] = []
  createInterface({ input: stdout }).on('line', (line) => {
    if (!line.startsWith('{')) return
    const { route, duration_ms } = JSON.parse(line) as { route?: string; duration_ms?: number }
    if (route === 'GET /user' && duration_ms !== undefined) times.push(duration_ms)
  })
  const browser = await launchChromium()
  undo.push(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1440, height: 800 } })
  page.setDefaultTimeout(60_000)
  const open = async (parameters: string) => {
    await page.goto(`http://localhost:${service.port}/console/users${parameters}`)
    await page.getByRole('row').nth(1).waitFor()
    await page.getByText(/user/).and(page.getByRole('status')).first().waitFor()
  }
  await signIn(page, service.port)
  const takeTimes = () => {
    const taken = times
    times = []
    return taken
  }
  return { page, open, takeTimes }
}

/** Signs in as the sample administrator, and opens the list. */
export async function signIn(page: Page, port: number): Promise<void> {
  await page.goto(`http://localhost:${port}/console/users`)
  await page.getByRole('link', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: /administrator/ }).click()
  await page.getByRole('row').nth(1).waitFor()
}

/** Scrolls by most of a screen, as a person does who holds a key. @returns the rows in the document */
const scroll = `(() => {
  const grid = document.querySelector('[role=grid]')
  grid.scrollTop += grid.clientHeight * 0.9
  return grid.querySelectorAll('[role=row]').length
})()`

/** @returns the most rows in the document */
async function scrollPages(page: Page, wanted: number): Promise<number> {
  let [pages, rows] = [0, 0]
  const count = () => void pages++
  page.on('requestfinished', count)
  await until(
    `${wanted} pages to be scrolled`,
    async () => {
      rows = Math.max(rows, (await page.evaluate(scroll)) as number)
      return pages >= wanted
    },
    wanted * 5_000,
  )
  page.off('requestfinished', count)
  return rows
}

async function benchScrolling({ page, open, takeTimes }: List): Promise<void> {
  await open('')
  takeTimes()
  const startedAt = performance.now()
  const rows = await scrollPages(page, scrolledRows / pageSize)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
  report(`${scrolledRows} rows scrolled in ${seconds} s, at most ${rows} rows in the document`, takeTimes())
}

async function benchOrders({ page, open, takeTimes }: List): Promise<void> {
  await open(`?columns=${allColumns}`)
  for (const [title, name] of [
    ['Username', 'username'],
    ['Name', 'name'],
    ['Created', 'created_at'],
    ['Changed', 'updated_at'],
  ] as const)
    for (const sort of [name, `-${name}`]) {
      takeTimes()
      await page.getByRole('columnheader', { name: title, exact: true }).click()
      await page.waitForURL(({ searchParams }) => (searchParams.get('sort') ?? '-created_at') === sort)
      await until('the sorted page', async () => (await page.locator('[aria-busy=true]').count()) === 0)
      report(`sort by ${sort}`, takeTimes())
    }
  for (const filter of [
    'status=BLOCKED',
    'contact_type=WORK',
    'attribute.department=Engines',
    'status=BLOCKED&attribute.department=Engines&sort=name',
    'created_after=2020-01-01T00:00:00Z&sort=username',
  ]) {
    takeTimes()
    await open(`?${filter}`)
    report(`${filter}, first page and estimated total`, takeTimes())
  }
  await open('?attribute.department=Engines')
  const startedAt = performance.now()
  await page.getByRole('button', { name: 'Count exactly' }).click()
  await page.getByText('estimate').waitFor({ state: 'detached' })
  process.stdout.write(`all that match counted exactly in ${Math.round(performance.now() - startedAt)} ms\n`)
}

/** Resolves to the milliseconds from the last input until each of the first rows matches, or a message that there are none. */
const watch = (expected: RegExp) => `new Promise((resolve) => {
  let typedAt
  const note = () => { typedAt = performance.now() }
  addEventListener('input', note, true)
  const look = () => {
    const rows = [...document.querySelectorAll('[role=row]:has([role=rowheader])')].slice(0, 5)
    const shown = rows.length > 0 ? rows : [...document.querySelectorAll('main p')]
    const texts = shown.map(({ textContent }) => textContent.toLowerCase())
    if (typedAt === undefined || !texts.length || !texts.every((text) => ${expected}.test(text))) return requestAnimationFrame(look)
    removeEventListener('input', note, true)
    resolve(performance.now() - typedAt)
  }
  look()
})`

async function benchTyping({ page, open, takeTimes }: List): Promise<void> {
  for (const [name, word, expected] of [
    ['common word', 'lovelace', /lovelace/],
    ['one user', '.4711-', /\.4711-/],
    ['absent word', 'zqxjk', /no user matches/],
    ['accents', 'zeljko', /željko/],
    ['Han', '高橋', /高橋/],
    ['two words', 'grace hopper', /grace.*hopper/],
    ['telephone number', '020 7946 0958', /7946 0958|958/],
  ] as const) {
    const times: number[] = []
    for (let turn = 0; turn < 5; turn++) {
      await open('?sort=username')
      takeTimes()
      const found = page.evaluate(watch(expected)) as Promise<number>
      await page.getByRole('searchbox').pressSequentially(word, { delay: 60 })
      times.push(await found)
    }
    report(
      `typed ${name}: shown after ${Math.round(median(times))} ms (most ${Math.round(Math.max(...times))})`,
      takeTimes(),
    )
  }
}

async function benchMemory({ page, open }: List, rounds: number): Promise<void> {
  await open('')
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable')
  process.stdout.write(`memory after: ${await memory(cdp)}\n`)
  for (let round = 1; round <= rounds; round++) {
    const endAt = performance.now() + useMs
    while (performance.now() < endAt) await useAWhile(page)
    await new Promise((resolve) => setTimeout(resolve, idleMs))
    process.stdout.write(`${(round * useMs) / 60_000} minutes of use: ${await memory(cdp)}\n`)
  }
}

/** Ends where it begins: at the top of the list of all users. */
async function useAWhile(page: Page): Promise<void> {
  await scrollPages(page, 20)
  await page.getByRole('searchbox').fill('hopper')
  await page.waitForURL(/search=hopper/)
  await until('the results', async () => (await page.locator('[aria-busy=true]').count()) === 0)
  await page.getByRole('row').nth(2).click()
  await page.getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Username').waitFor()
  await page.goBack()
  await page.getByRole('searchbox').waitFor()
  await page.getByRole('columnheader', { name: 'Name', exact: true }).click()
  await page.waitForURL(/sort=name/)
  await page.getByRole('link', { name: 'Health' }).click()
  await page.getByRole('heading', { name: 'The last hour' }).waitFor()
  await page.getByRole('link', { name: 'Users', exact: true }).click()
  await page.getByRole('row').nth(2).waitFor()
}

async function memory(cdp: CDPSession): Promise<string> {
  for (let time = 0; time < 3; time++) await cdp.send('HeapProfiler.collectGarbage')
  const { metrics } = await cdp.send('Performance.getMetrics')
  const figure = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN
  const megabytes = (figure('JSHeapUsedSize') / 1e6).toFixed(1)
  return `${megabytes} MB of heap, ${figure('Nodes')} nodes, ${figure('JSEventListeners')} listeners`
}

function report(name: string, times: number[]): void {
  if (times.length === 0) return void process.stdout.write(`${name}; from the browser's memory\n`)
  const [p50, p95, most] = [median(times), quantile(times, 0.95), Math.max(...times)].map((ms) =>
    ms.toFixed(0),
  )
  process.stdout.write(`${name}; server: ${times.length} requests, p50 ${p50} ms, p95 ${p95}, most ${most}\n`)
}
