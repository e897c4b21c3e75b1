// Benchmarks imports: a validated import of NDJSON over the API against a bare COPY of the same rows into the same
// indexed tables, in turn.
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { v7 as uuidv7 } from 'uuid'
import { copyRow } from '../src/connection/postgres/copy-text.ts'
import type { Job } from '../src/model/job.ts'
import { derivedColumns } from '../src/model/search-text.ts'
import { until } from '../test/support/wait.ts'
import { median, residentMegabytes } from './figures.ts'
import type { Target } from './servers.ts'

const hash =
  '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgMTYgYnl0ZQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
const minutesMax = 30

type Options = {
  databaseUrl: string
  service: Target
  token: string
  users: number
  rounds: number
  directory: string
}

/** A user with one or two contacts, so 1.5 on average. */
function sample(at: number, round: string) {
  const contacts = [
    { contact_type: 'EMAIL', value: `ada.lovelace.${at}@example.com` },
    { contact_type: 'PHONE', value: `+44 20 ${String(at % 10_000_000).padStart(8, '0')}` },
  ]
  return {
    username: `ada.lovelace.${at}.${round}`,
    name: `Ada Lovelace ${at}`,
    external_id: `auth0|${createHash('md5').update(`${at}.${round}`).digest('hex')}`,
    contacts: contacts.slice(0, 1 + (at % 2)),
    password_hash: hash,
  }
}

function* samples(users: number, round: string) {
  for (let at = 0; at < users; at++) yield sample(at, round)
}

export async function benchImport({ databaseUrl, service, token, users, rounds, directory }: Options) {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const empty = () =>
    client.query('TRUNCATE users, contacts, jobs, job_errors, job_created_users, job_files CASCADE')
  const ratios: number[] = []
  let residentMax = 0
  try {
    for (let round = 0; round < rounds; round++) {
      await empty()
      const floorMs = await copyBare(client, users, `r${round}`)
      await empty()
      const file = join(directory, 'users.ndjson')
      await writeFile(file, users, `r${round}`)
      const { ms, resident } = await importFile({ service, token, file })
      residentMax = Math.max(residentMax, resident)
      const { rows } = await client.query<{ users: number }>('SELECT count(*)::int AS users FROM users')
      if (rows[0]?.users !== users) throw new Error(`${rows[0]?.users} of ${users} users were imported`)
      ratios.push(floorMs / ms)
      process.stdout.write(
        `import of ${users} users: ${Math.round(users / (ms / 1_000))}/s, bare COPY ${Math.round(users / (floorMs / 1_000))}/s\n`,
      )
      await rm(file)
    }
  } finally {
    await client.end()
  }
  process.stdout.write(
    `import: ${median(ratios).toFixed(2)} of a bare COPY (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}), resident memory ${residentMax.toFixed(0)} MB\n`,
  )
}

async function writeFile(file: string, users: number, round: string): Promise<void> {
  const lines = function* () {
    for (const user of samples(users, round)) yield `${JSON.stringify(user)}\n`
  }
  await pipeline(Readable.from(lines()), createWriteStream(file))
}

/** Copies rows that are ready, users first, in two statements. */
async function copyBare(client: pg.Client, users: number, round: string): Promise<number> {
  const now = new Date()
  const userRows: Buffer[] = []
  const contactRows: Buffer[] = []
  let [userText, contactText] = ['', '']
  for (const user of samples(users, round)) {
    // In order, like the ids of an import: random ones would make the floor's indexes slower.
    const id = uuidv7()
    const derived = derivedColumns({ ...user, externalId: user.external_id })
    userText += copyRow([
      id,
      user.username,
      derived.usernameFolded,
      user.name,
      derived.nameFolded,
      user.password_hash,
      user.external_id,
      {},
      'ACTIVE',
      1,
      now,
      now,
      derived.searchText,
    ])
    for (const [position, { contact_type, value }] of user.contacts.entries())
      contactText += copyRow([uuidv7(), id, position, contact_type, value])
    if (userText.length < 1_000_000) continue
    userRows.push(Buffer.from(userText))
    contactRows.push(Buffer.from(contactText))
    userText = contactText = ''
  }
  userRows.push(Buffer.from(userText))
  contactRows.push(Buffer.from(contactText))
  const startedAt = performance.now()
  await client.query('BEGIN')
  await copy(
    client,
    'users (id, username, username_folded, name, name_folded, password_hash, external_id, attributes, status, version, created_at, updated_at, search_text)',
    userRows,
  )
  await copy(client, 'contacts (id, user_id, position, contact_type, value)', contactRows)
  await client.query('COMMIT')
  return performance.now() - startedAt
}

async function copy(client: pg.Client, target: string, rows: Buffer[]): Promise<void> {
  const stream = client.query(copyFrom(`COPY ${target} FROM STDIN`))
  Readable.from(rows).pipe(stream)
  await finished(stream)
}

async function importFile({ service, token, file }: { service: Target; token: string; file: string }) {
  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Job> => {
    const answer = await fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Job
  }
  const { id } = await call('POST', '/import', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ format: 'ndjson' }),
  })
  const body = Readable.toWeb(createReadStream(file)) as ReadableStream
  await call('PUT', `/import/${id}/file`, { body, duplex: 'half' } as RequestInit)
  await call('POST', `/import/${id}/start`)
  let resident = 0
  const job = await until(
    'the import',
    async () => {
      resident = Math.max(resident, await residentMegabytes(service.process))
      const job = await call('GET', `/import/${id}`)
      return job.ended_at === null ? undefined : job
    },
    minutesMax * 60_000,
  )
  if (job.state !== 'done' || job.refused > 0) throw new Error(`the import failed: ${JSON.stringify(job)}`)
  // Without the wait until a server takes the job up.
  const ms = job.rows_per_second === null ? 0 : (job.rows_read / job.rows_per_second) * 1_000
  return { ms, resident }
}
