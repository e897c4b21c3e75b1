// Benchmarks imports and exports of NDJSON over the API against bare COPYs of the same rows, in turn, and cached reads
// beside an import.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { userColumns } from '../src/services/users/user-row.ts'
import { copyIn, copyOut } from './bare-copy.ts'
import { median, peakMegabytes, resetPeak } from './figures.ts'
import { openJobClient, workedMs } from './jobs.ts'
import { benchReadsBesideImport } from './reads-beside-import.ts'
import type { Target } from './servers.ts'
import { writeUsers } from './user-file.ts'

type Options = {
  databaseUrl: string
  service: Target
  token: string
  users: number
  rounds: number
  seconds: number
  directory: string
}

// The export's own rows: a user with its contacts in one row, in the order of ids.
const exportedRows = `(SELECT ${userColumns} FROM users u ORDER BY u.id)`
// The tables as they are, as pg_dump copies them.
const tables = ['users', 'contacts']

export async function benchImport(options: Options) {
  const { databaseUrl, service, token, users, rounds, directory } = options
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const empty = () =>
    client.query('TRUNCATE users, contacts, jobs, job_errors, job_created_users, job_files CASCADE')
  const jobs = openJobClient(service, token)
  const file = join(directory, 'users.ndjson')
  const ratios = { import: [] as number[], export: [] as number[], tables: [] as number[] }
  const peaks = { import: 0, export: 0 }
  try {
    for (let round = 0; round < rounds; round++) {
      await empty()
      const copiedMs = await copyIn(client, users, `r${round}`)
      await empty()
      await writeUsers(file, users, `r${round}`)
      await resetPeak(service.process)
      const importedMs = workedMs(await jobs.finish('import', await jobs.startImport(file)))
      peaks.import = Math.max(peaks.import, await peakMegabytes(service.process))
      await rm(file)
      const { rows } = await client.query<{ users: number }>('SELECT count(*)::int AS users FROM users')
      if (rows[0]?.users !== users) throw new Error(`${rows[0]?.users} of ${users} users were imported`)

      await client.query('VACUUM ANALYZE')
      const rowsMs = await copyOut(client, [exportedRows])
      await resetPeak(service.process)
      const exportedMs = workedMs(await jobs.finish('export', await jobs.startExport()))
      peaks.export = Math.max(peaks.export, await peakMegabytes(service.process))
      const tablesMs = await copyOut(client, tables)

      ratios.import.push(copiedMs / importedMs)
      ratios.export.push(rowsMs / exportedMs)
      ratios.tables.push(tablesMs / exportedMs)
      const rate = (ms: number) => `${Math.round(users / (ms / 1_000))}/s`
      print(`${users} users: import ${rate(importedMs)}, bare COPY ${rate(copiedMs)}`)
      print(
        `${users} users: export ${rate(exportedMs)}, COPY of its rows ${rate(rowsMs)}, COPY of the tables ${rate(tablesMs)}`,
      )
    }
    const listed = (figures: number[]) =>
      `${median(figures).toFixed(2)} (${figures.map((figure) => figure.toFixed(2)).join(', ')})`
    print(`import: ${listed(ratios.import)} of a bare COPY, peak memory ${peaks.import.toFixed(0)} MB`)
    print(
      `export: ${listed(ratios.export)} of COPY of its rows, ${listed(ratios.tables)} of COPY of the tables, peak memory ${peaks.export.toFixed(0)} MB`,
    )
    await benchReadsBesideImport(options, { client, jobs, writeUsers })
  } finally {
    await client.end()
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
