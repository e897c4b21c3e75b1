// An import whose server, PostgreSQL and S3 server are killed at random moments. It must store the rows of one that runs
// through. `npm run torture -- --import kills` runs it with many rows, the suite with few.
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Job } from '../../src/model/job.ts'
import { compareImports, storedAvatars } from './import-results.ts'
import { killedRows, seedRows } from './import-rows.ts'
import { type Cleanup, importMsMax, openStage, summary, victims } from './import-stage.ts'
import { until } from './wait.ts'

type Options = {
  rows: number
  /** They take turns. */
  kills: number
  print?: (line: string) => void
}

const killDelayMsMax = 400

/** @returns descriptions of the first differences between the two results; none if they are equal */
export async function importUnderKills(options: Options, atEnd: Cleanup): Promise<string[]> {
  const { rows, kills, print = () => {} } = options
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-import-'))
  atEnd(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
  const file = join(directory, 'users.ndjson')
  const seeds = join(directory, 'seeds.ndjson')
  await writeRows(seeds, seedRows(rows))
  await writeRows(file, await killedRows(rows))

  const [calm, killed] = await Promise.all([
    openStage(join(directory, 'calm'), atEnd),
    openStage(join(directory, 'killed'), atEnd),
  ])
  const runCalm = async (): Promise<Job> => {
    await calm.importFile(seeds)
    const job = await calm.importFile(file)
    print(`without kills: ${summary(job)}`)
    return job
  }
  const moments = Array.from({ length: kills }, () => Math.floor(Math.random() * rows * 0.98))
  const runKilled = async (): Promise<Job> => {
    await killed.importFile(seeds)
    const job = await killed.importFile(file, async (rowsRead) => {
      for (const [at, moment] of moments.toSorted((a, b) => a - b).entries()) {
        await until(`row ${moment}`, async () => ((await rowsRead()) ?? 0) >= moment, importMsMax)
        await delay(Math.random() * killDelayMsMax)
        const victim = victims[at % victims.length] ?? 'the server'
        print(`${victim} is killed after row ${moment}`)
        await killed.killAndStart(victim)
      }
    })
    print(`with ${kills} kills: ${summary(job)}`)
    return job
  }
  const [expected, job] = await Promise.all([runCalm(), runKilled()])

  const differences = await compareImports(calm.databaseUrl, killed.databaseUrl)
  if (summary(job) !== summary(expected)) differences.push(`${summary(job)} instead of ${summary(expected)}`)
  for (const avatar of await storedAvatars(killed.databaseUrl))
    if (!(await killed.hasObject(avatar))) differences.push(`${avatar} is not in the store`)
  return differences
}

async function writeRows(file: string, rows: Iterable<object>): Promise<void> {
  const lines = function* () {
    for (const row of rows) yield `${JSON.stringify(row)}\n`
  }
  await pipeline(Readable.from(lines()), createWriteStream(file))
}
