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
import { importMsMax, openStage, type StageOptions, summary, victims } from './import-stage.ts'
import { until } from './wait.ts'

type Options = {
  rows: number
  /** They take turns. */
  kills: number
  print?: (line: string) => void
}

const killDelayMsMax = 400

/** @property differences descriptions of the first ones between the two results. @property kills before the import's end */
type Outcome = { differences: string[]; kills: number }

export async function importUnderKills(options: Options & StageOptions): Promise<Outcome> {
  const { rows, kills, print = () => {}, atEnd } = options
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-import-'))
  atEnd(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 }))
  const file = join(directory, 'users.ndjson')
  const seeds = join(directory, 'seeds.ndjson')
  await writeRows(seeds, seedRows(rows))
  await writeRows(file, await killedRows(rows))

  const [calm, killed] = await Promise.all([
    openStage(join(directory, 'calm'), options),
    openStage(join(directory, 'killed'), options),
  ])
  const runCalm = async (): Promise<Job> => {
    await calm.importFile(seeds)
    const job = await calm.importFile(file)
    print(`without kills: ${summary(job)}`)
    return job
  }
  const moments = Array.from({ length: kills }, () => Math.floor(Math.random() * rows * 0.98))
  let killsMade = 0
  const runKilled = async (): Promise<Job> => {
    await killed.importFile(seeds)
    const job = await killed.importFile(file, async (read) => {
      for (const [at, moment] of moments.toSorted((a, b) => a - b).entries()) {
        const isRead = (job: Job | undefined) => job && (job.ended_at !== null || job.rows_read >= moment)
        const job = await until(
          `row ${moment}`,
          () => read().then((job) => (isRead(job) ? job : undefined)),
          importMsMax,
        )
        // On a busy machine, the import may end before a late moment is noticed.
        if (job.ended_at !== null) return
        killsMade++
        await delay(Math.random() * killDelayMsMax)
        const victim = victims[at % victims.length] ?? 'the server'
        print(`${victim} is killed after row ${moment}`)
        await killed.killAndStart(victim)
      }
    })
    print(`with ${killsMade} kills: ${summary(job)}`)
    return job
  }
  const [expected, job] = await Promise.all([runCalm(), runKilled()])

  const differences = await compareImports(calm.databaseUrl, killed.databaseUrl)
  if (summary(job) !== summary(expected)) differences.push(`${summary(job)} instead of ${summary(expected)}`)
  for (const avatar of await storedAvatars(killed.databaseUrl))
    if (!(await killed.hasObject(avatar))) differences.push(`${avatar} is not in the store`)
  return { differences, kills: killsMade }
}

async function writeRows(file: string, rows: Iterable<object>): Promise<void> {
  const lines = function* () {
    for (const row of rows) yield `${JSON.stringify(row)}\n`
  }
  await pipeline(Readable.from(lines()), createWriteStream(file))
}
