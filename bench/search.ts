// The part of the benchmark on searches: words that no, one or many users match, with accents, in Han and as telephone
// numbers. Each is compared with the same page without a search, and with a bare node:http server that sends PostgreSQL the
// search's LIKE alone, without a sort or a row around it.
import { randomBytes } from 'node:crypto'
import { searchClauses } from '../src/model/search-text.ts'
import { median } from './figures.ts'
import type { Load } from './load.ts'

export type Measure = (connections: number, request: () => string) => Promise<Load>

const connectionsMax = 8
const anyOf = (words: string[]) => words[Math.floor(Math.random() * words.length)] ?? ''

/** Sample users have these; see samples.ts. */
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

/**
 * @param to.ask makes a request's bytes of a path
 * @param to.floor a server that answers `/search/<part of the search column>`
 */
export async function benchSearch(to: {
  users: number
  rounds: number
  service: Measure
  floor: Measure
  ask: (path: string) => string
}): Promise<void> {
  const page = (search = '') => to.ask(`/user?limit=20${search && `&search=${encodeURIComponent(search)}`}`)
  const part = (search: string) =>
    searchClauses(search).map(({ every, orAny }) => orAny[0] ?? every[0])[0] ?? ''
  print('search, 20 a page', 'p50 ms', 'of page', 'p99 ms', 'per second', 'of page', 'of floor')
  for (const [name, word] of Object.entries({ 'without a search': () => '', ...kinds(to.users) })) {
    const rounds: { alone: Load; many: Load; pageAlone: Load; pageMany: Load; floor: Load | undefined }[] = []
    // The first round warms up and is not counted.
    for (let round = 0; round <= to.rounds; round++) {
      const measured = {
        pageAlone: await to.service(1, () => page()),
        alone: await to.service(1, () => page(word())),
        pageMany: await to.service(connectionsMax, () => page()),
        many: await to.service(connectionsMax, () => page(word())),
        floor: word()
          ? await to.floor(connectionsMax, () => to.ask(`/search/${encodeURIComponent(part(word()))}`))
          : undefined,
      }
      if (round > 0) rounds.push(measured)
    }
    const middle = (figure: (round: (typeof rounds)[number]) => number) =>
      median(rounds.map(figure)).toFixed(2)
    print(
      name,
      middle(({ alone }) => alone.p50Ms),
      middle(({ alone, pageAlone }) => alone.p50Ms / pageAlone.p50Ms),
      middle(({ alone }) => alone.p99Ms),
      middle(({ many }) => many.perSecond),
      middle(({ many, pageMany }) => many.perSecond / pageMany.perSecond),
      middle(({ many, floor }) => many.perSecond / (floor?.perSecond ?? Number.NaN)),
    )
  }
  process.stdout.write(
    `p50 and p99: one connection at a time; per second: ${connectionsMax} connections; of page: the same page without a search\n`,
  )
}

function print(name: string, ...cells: string[]): void {
  process.stdout.write(`${name.padEnd(20)}${cells.map((cell) => cell.padStart(11)).join('')}\n`)
}
