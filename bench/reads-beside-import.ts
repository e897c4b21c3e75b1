// Measures cached reads beside a running import, in turn with the same reads alone.
import { join } from 'node:path'
import type pg from 'pg'
import { until } from '../test/support/wait.ts'
import { median } from './figures.ts'
import type { JobClient } from './jobs.ts'
import { type Load, load } from './load.ts'
import type { Target } from './servers.ts'

// More users than an import stores during a measurement.
const usersMax = 200_000
const connections = 32
const hotUsers = 100

type Options = {
  service: Target
  token: string
  users: number
  rounds: number
  seconds: number
  directory: string
}

type Tools = {
  client: pg.Client
  jobs: JobClient
  writeUsers(file: string, users: number, round: string): Promise<void>
}

export async function benchReadsBesideImport(
  { service, token, users, rounds, seconds, directory }: Options,
  { client, jobs, writeUsers }: Tools,
): Promise<void> {
  const { rows } = await client.query<{ id: string }>('SELECT id FROM users LIMIT $1', [hotUsers])
  const request = () =>
    `GET /user/${rows[Math.floor(Math.random() * rows.length)]?.id} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\n\r\n`
  const read = async (): Promise<Load> => {
    const figures = await load({ port: service.port, connections, seconds, skipMs: 500 }, request)
    if (figures.bad > 0) throw new Error(`${figures.bad} reads failed`)
    return figures
  }
  await read()
  const throughputs: number[] = []
  const p99s: number[] = []
  for (let round = 0; round < rounds; round++) {
    const alone = await read()
    const file = join(directory, `beside-${round}.ndjson`)
    await writeUsers(file, Math.min(users, usersMax), `beside-${round}`)
    const id = await jobs.startImport(file)
    const rowsRead = async () => (await jobs.read('import', id)).rows_read
    const before = await until('the import to begin', rowsRead, 30_000)
    const beside = await read()
    const job = await jobs.read('import', id)
    if (job.ended_at !== null) throw new Error('the import ended during the measurement; use more --users')
    await jobs.cancelImport(id)
    throughputs.push(beside.perSecond / alone.perSecond)
    p99s.push(beside.p99Ms / alone.p99Ms)
    print(
      `cached reads: ${describe(alone)} alone; ${describe(beside)} beside an import of ${Math.round((job.rows_read - before) / (seconds + 0.5))} users/s`,
    )
  }
  const listed = (figures: number[]) =>
    `${median(figures).toFixed(2)} (${figures.map((figure) => figure.toFixed(2)).join(', ')})`
  print(`cached reads beside an import: ${listed(throughputs)} of the throughput, ${listed(p99s)} of the p99`)
}

function describe({ perSecond, p99Ms, rejected }: Load): string {
  return `${Math.round(perSecond)}/s, p99 ${p99Ms.toFixed(1)} ms${rejected > 0 ? `, ${rejected} rejected` : ''}`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
