// Benchmarks passwords and blocks: the speed of checks, and their effect on the event loop and on reads. Also measures
// whether a rejection's time reveals its reason, and how long a token outlives a block.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { verify } from '@node-rs/argon2'
import pg from 'pg'
import { type Connections, openConnections } from '../src/connection/open.ts'
import { samplePassword } from '../src/dev/samples.ts'
import { openLogger } from '../src/platform/logger.ts'
import { readSettings } from '../src/platform/settings.ts'
import { checkPassword } from '../src/services/identity/check-password.ts'
import { hashedAtOnce, hashPassword, verifyPassword } from '../src/services/identity/passwords.ts'
import { median } from './figures.ts'
import { load } from './load.ts'

type Bench = {
  env: Record<string, string> & { DATABASE_URL: string }
  rounds: number
  /** Two servers with the same database and cache. */
  ports: [number, number]
  /** A bare server with the same Redis. */
  floor: { port: number; cachedRead: () => string; hash: () => string }
  token(username: string, groups?: string[]): Promise<string>
  cachedRead: () => string
  newUser: () => string
}

const tries = 1_000
// Few enough that attempts do not wait for each other.
const triesAtOnce = 12
const blocks = 20
const checksPerRound = 200

export async function benchSignIn(bench: Bench): Promise<void> {
  const connections = openConnections(
    { ...readSettings(bench.env, '/tmp'), databaseUrl: bench.env.DATABASE_URL },
    openLogger('warn'),
  )
  try {
    await checks(bench.rounds)
    await readsBeside(bench)
    await timeRejections(bench.env.DATABASE_URL, connections)
    await timeToBlock(bench)
  } finally {
    await connections.close()
  }
}

async function checks(rounds: number): Promise<void> {
  const hash = await hashPassword('bench', samplePassword)
  const bare = () => verify(hash, samplePassword)
  const ours = () =>
    verifyPassword(hash, samplePassword, { share: 'bench', startUntil: Number.POSITIVE_INFINITY })
  const perSecond = async (check: () => Promise<unknown>, width: number) => {
    let left = checksPerRound
    const startedAt = performance.now()
    await Promise.all(
      Array.from({ length: width }, async () => {
        while (left-- > 0) await check()
      }),
    )
    return (checksPerRound * 1_000) / (performance.now() - startedAt)
  }
  const ratios: number[] = []
  const delays: number[] = []
  let best = 0
  for (let round = 0; round < rounds; round++) {
    const floor = await perSecond(bare, hashedAtOnce)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    // More than can run at once.
    const service = await perSecond(ours, 50)
    delay.disable()
    ratios.push(service / floor)
    delays.push(delay.percentile(99) / 1e6)
    best = Math.max(best, service)
  }
  print(
    'password checks',
    `${median(ratios).toFixed(2)} of the bare library on as many cores, ${best.toFixed(0)}/s`,
  )
  print(
    '  event loop',
    `delay p99 ${median(delays).toFixed(1)} ms at full load (1 ms of it is the timer's resolution)`,
  )
}

/** Measures how much hashing passwords slows down reads, on the service and on a bare server. */
async function readsBeside({ ports: [port], cachedRead, newUser, floor, rounds }: Bench): Promise<void> {
  const seconds = 2
  const slowdown = async (
    port: number,
    requests: { read: () => string; hash: () => string },
    hashConnections: number,
  ) => {
    const reads = () => load({ port, connections: 4, seconds }, requests.read)
    await reads()
    const alone = await reads()
    const [beside, hashes] = await Promise.all([
      reads(),
      load({ port, connections: hashConnections, seconds }, requests.hash),
    ])
    return { ratio: beside.p99Ms / alone.p99Ms, alone: alone.p99Ms, hashes: hashes.perSecond }
  }
  const ours: Awaited<ReturnType<typeof slowdown>>[] = []
  const theirs: typeof ours = []
  for (let round = 0; round < rounds; round++) {
    ours.push(await slowdown(port, { read: cachedRead, hash: newUser }, 8))
    // The bare server has no queue, so it gets as many hashes at once as the service runs.
    theirs.push(await slowdown(floor.port, { read: floor.cachedRead, hash: floor.hash }, hashedAtOnce))
  }
  for (const [name, figures] of [
    ['cached reads', ours],
    ['  of a bare server', theirs],
  ] as const) {
    const middle = (figure: (round: (typeof ours)[number]) => number) => median(figures.map(figure))
    print(
      name,
      `p99 ${middle(({ ratio }) => ratio).toFixed(2)} times as long while ${middle(({ hashes }) => hashes).toFixed(0)} passwords a second are hashed (${middle(({ alone }) => alone).toFixed(2)} ms without)`,
    )
  }
}

/** The three kinds take turns, so that other work on the machine affects all of them. */
async function timeRejections(databaseUrl: string, connections: Connections): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const names = async (status: string) =>
    (
      await client.query<{ username: string }>('SELECT username FROM users WHERE status = $1 LIMIT $2', [
        status,
        tries,
      ])
    ).rows.map(({ username }) => username)
  const [active, blocked] = [await names('ACTIVE'), await names('BLOCKED')]
  await client.end()
  const kinds = {
    'wrong password': (turn: number) => [active[turn % active.length], 'wrong'],
    'blocked, right one': (turn: number) => [blocked[turn % blocked.length], samplePassword],
    'unknown name': (turn: number) => [`nobody.${turn}`, samplePassword],
  }
  const times = new Map<string, number[]>(Object.keys(kinds).map((kind) => [kind, []]))
  const queue = Array.from({ length: tries }, (_, turn) =>
    Object.entries(kinds).map(([kind, pick]) => ({ kind, pair: pick(turn) })),
  ).flatMap((three) => three.sort(() => Math.random() - 0.5))
  await Promise.all(
    Array.from({ length: triesAtOnce }, async () => {
      for (let next = queue.pop(); next; next = queue.pop()) {
        const [username = '', password = ''] = next.pair
        const startedAt = performance.now()
        const user = await checkPassword(connections, { username, password })
        if (user) throw new Error('a wrong sign-in was accepted')
        times.get(next.kind)?.push(performance.now() - startedAt)
      }
    }),
  )
  for (const [kind, ms] of times)
    print(`rejected: ${kind}`, `median ${median(ms).toFixed(1)} ms, mean ${mean(ms).toFixed(1)} ms`)
  const [first, ...others] = [...times.entries()]
  for (const [kind, ms] of others)
    print(
      '  distinguishable',
      `${first?.[0]} from ${kind}: z = ${rankZ(first?.[1] ?? [], ms).toFixed(2)} (chance: within ±2.6)`,
    )
}

/** The Mann-Whitney U test. @returns the distance of two samples' ranks in standard deviations */
function rankZ(a: number[], b: number[]): number {
  const all = [...a.map((ms) => ({ ms, isA: true })), ...b.map((ms) => ({ ms, isA: false }))]
  all.sort((x, y) => x.ms - y.ms)
  const rankSum = all.reduce((sum, { isA }, at) => (isA ? sum + at + 1 : sum), 0)
  const u = rankSum - (a.length * (a.length + 1)) / 2
  return (u - (a.length * b.length) / 2) / Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12)
}

/** Blocks a user on one server while the user's token is in constant use on another. */
async function timeToBlock({ ports: [here, there], token }: Bench): Promise<void> {
  const admin = await token('bench', ['admins'])
  const call = (
    port: number,
    { bearer, method, path, body }: { bearer: string; method: string; path: string; body?: object },
  ) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    })
  const lasted: number[] = []
  for (let turn = 0; turn < blocks; turn++) {
    const username = `blocked.${turn}.${Date.now()}`
    const made = await call(here, {
      bearer: admin,
      method: 'POST',
      path: '/user',
      body: { username, password: samplePassword },
    })
    const { id } = (await made.json()) as { id: string }
    const own = await token(username)
    let lastAcceptedAt = 0
    let isRejected = false
    const asking = (async () => {
      while (!isRejected) {
        const askedAt = performance.now()
        const answer = await call(there, { bearer: own, method: 'GET', path: `/user/${id}` })
        await answer.arrayBuffer()
        if (answer.status === 200) lastAcceptedAt = askedAt
        else isRejected = answer.status === 401
      }
    })()
    // A random moment in the lifetime of the other server's cached caller.
    await new Promise((done) => setTimeout(done, 300 + Math.random() * 500))
    const block = await call(here, {
      bearer: admin,
      method: 'PATCH',
      path: `/user/${id}`,
      body: { status: 'BLOCKED' },
    })
    await block.arrayBuffer()
    const answeredAt = performance.now()
    await asking
    lasted.push(Math.max(0, lastAcceptedAt - answeredAt))
  }
  print(
    'block',
    `last request accepted by another server ${median(lasted).toFixed(0)} ms after the answer, ${Math.max(...lasted).toFixed(0)} ms at most`,
  )
}

function mean(figures: number[]): number {
  return figures.reduce((sum, figure) => sum + figure, 0) / figures.length
}

function print(name: string, result: string): void {
  process.stdout.write(`${name.padEnd(24)}${result}\n`)
}
