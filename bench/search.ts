// Benchmarks searches for rare, common and absent words, accents, Han and phone numbers. Each is compared with the same page
// without a search, and with a bare node:http server that runs only the search's LIKE in PostgreSQL.
import { randomBytes } from 'node:crypto'
import { searchClauses } from '../src/model/search-text.ts'
import { median } from './figures.ts'
import { type Load, load } from './load.ts'

const connectionsMax = 8
// The compared sides take turns this often in a round, so that other work on the machine affects both.
const turns = 10
const anyOf = (words: string[]) => words[Math.floor(Math.random() * words.length)] ?? ''

/** Words that sample users have: see src/dev/samples.ts. */
const kinds = (users: number): Record<string, () => string> => ({
  'absent word': () => `zq${randomBytes(4).toString('hex')}`,
  'rare word, 1 user': () => `.${25 + Math.floor(Math.random() * (users - 25))}-`,
  'common, 4 %': () => anyOf(['lovelace', 'hopper', 'turing', 'johnson', 'wilson']),
  'accents, 4 %': () => anyOf(['zeljko', 'lukasz', 'joao', 'araujo']),
  'two Han, 4 %': () => anyOf(['美羽', '高橋']),
  'one Han, 4 %': () => anyOf(['羽', '橋']),
  'one Han, absent': () => anyOf(['鑫', '淼', '焱']),
  'two words': () => `${anyOf(['ada', 'grace', 'alan'])} ${anyOf(['lovelace', 'hopper', 'turing'])}`,
  'phone, digits': () => `02079${String(460_000 + Math.floor(Math.random() * 10_000)).padStart(6, '0')}`,
  'phone, spaced': () => `+44 20 7946 ${String(Math.floor(Math.random() * 10_000)).padStart(4, '0')}`,
})

type Round = { page: Load; search: Load; floor: Load }

/**
 * @param options.ask builds the bytes of a request to a path
 * @param options.ports the service, and a server that answers `/search/<part of the search column>`
 */
export async function benchSearch(options: {
  users: number
  rounds: number
  seconds: number
  ports: { service: number; floor: number }
  ask: (path: string) => string
}): Promise<void> {
  const page = (search = '') =>
    options.ask(`/user?limit=20${search && `&search=${encodeURIComponent(search)}`}`)
  const part = (search: string) =>
    searchClauses(search).map(({ every, orAny }) => orAny[0] ?? every[0])[0] ?? ''
  print('search, 20 a page', 'p50 ms', "page's", 'of page', 'per second', 'of page', 'of floor')
  for (const [name, word] of Object.entries(kinds(options.users))) {
    /** Measures each side for a short time. */
    const measure = async (connections: number): Promise<Round> => {
      const drive = async (port: number, request: () => string) => {
        const done = await load({ port, connections, seconds: options.seconds / turns }, request)
        if (done.bad + done.rejected > 0) throw new Error(`${done.bad + done.rejected} answers were not 2xx`)
        return done
      }
      return {
        page: await drive(options.ports.service, () => page()),
        search: await drive(options.ports.service, () => page(word())),
        floor: await drive(options.ports.floor, () =>
          options.ask(`/search/${encodeURIComponent(part(word()))}`),
        ),
      }
    }
    const [alone, many]: [Round[], Round[]] = [[], []]
    for (let turn = 0; turn < turns * options.rounds; turn++) {
      alone.push(await measure(1))
      many.push(await measure(connectionsMax))
    }
    const middle = (rounds: Round[], figure: (round: Round) => number) => median(rounds.map(figure))
    const p50 = middle(alone, ({ search }) => search.p50Ms)
    const pageP50 = middle(alone, ({ page }) => page.p50Ms)
    const perSecond = middle(many, ({ search }) => search.perSecond)
    print(
      name,
      ...[p50, pageP50, p50 / pageP50].map((figure) => figure.toFixed(2)),
      perSecond.toFixed(0),
      (perSecond / middle(many, ({ page }) => page.perSecond)).toFixed(2),
      (perSecond / middle(many, ({ floor }) => floor.perSecond)).toFixed(2),
    )
  }
  process.stdout.write(
    `p50: one connection; per second: ${connectionsMax} connections; of page: relative to the same page without a search\n`,
  )
}

function print(name: string, ...cells: string[]): void {
  process.stdout.write(`${name.padEnd(20)}${cells.map((cell) => cell.padStart(11)).join('')}\n`)
}
