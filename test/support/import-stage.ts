// A service with a PostgreSQL, an S3 server and a Redis of its own, for imports whose parts are killed.
import { createReadStream } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { migrate } from '../../src/connection/postgres/migrations.ts'
import type { Job } from '../../src/model/job.ts'
import { startIssuer, tokenSettings } from './issuer.ts'
import { startKillablePostgres, startKillableS3 } from './killable.ts'
import { startRedis } from './redis.ts'
import { startServer } from './started-server.ts'
import { until } from './wait.ts'

export const victims = ['the server', 'PostgreSQL', 'the S3 server'] as const
type Victim = (typeof victims)[number]

export type Cleanup = (step: () => Promise<unknown>) => void

export const importMsMax = 3 * 3_600_000
const downMsMax = 1_500
const pollMs = 40
// Each takes a new connection, which costs more than the rest of the polling.
const expireEveryMs = 200

export type StageOptions = {
  atEnd: Cleanup
  /** Fills PostgreSQL's folder. Without it, its first start does. */
  copyCluster?: (directory: string) => Promise<void>
}

/** @param directory is created */
export async function openStage(directory: string, { atEnd, copyCluster }: StageOptions) {
  const objects = join(directory, 's3')
  await mkdir(objects, { recursive: true })
  await copyCluster?.(join(directory, 'postgres'))
  const postgres = await startKillablePostgres(join(directory, 'postgres'))
  atEnd(postgres.stop)
  const s3 = await startKillableS3(objects)
  atEnd(s3.stop)
  const redis = await startRedis()
  atEnd(redis.kill)
  const issuer = await startIssuer()
  atEnd(issuer.close)
  await migrate(postgres.url)
  const env = {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    ...tokenSettings(issuer.rules),
    LOG_LEVEL: 'error',
    ...s3.env,
  }
  let server = await startServer(directory, env)
  atEnd(() => server.stop())

  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Job> => {
    const authorization = `Bearer ${await issuer.machineToken('users/write')}`
    const headers = { authorization, 'content-type': 'application/json', ...init.headers }
    const answer = await fetch(server.url + path, { method, ...init, headers })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Job
  }
  /** Lets the job go on at once, instead of after its lease or the pause after an outage. */
  const expireLease = async (isAlsoRunning: boolean) => {
    const client = new pg.Client({ connectionString: postgres.url, connectionTimeoutMillis: 5_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query(
        'UPDATE jobs SET leased_until = clock_timestamp() WHERE ended_at IS NULL AND ($1 OR lease_token IS NULL)',
        [isAlsoRunning],
      )
    } finally {
      await client.end().catch(() => {})
    }
  }
  return {
    url: () => server.url,
    databaseUrl: postgres.url,
    token: () => issuer.machineToken('users/write'),
    hasObject: (key: string) =>
      stat(join(objects, 'avatars', `${key}._S3rver_object`)).then(
        ({ size }) => size > 0,
        () => false,
      ),
    /** @param meanwhile runs beside the import; `read` returns its state, if the service answers */
    importFile: async (
      file: string,
      meanwhile: (read: () => Promise<Job | undefined>) => Promise<void> = async () => {},
    ): Promise<Job> => {
      const body = JSON.stringify({ format: 'ndjson', on_conflict: 'update' })
      const { id } = await call('POST', '/import', { body })
      const content = Readable.toWeb(createReadStream(file)) as ReadableStream
      await call('PUT', `/import/${id}/file`, { body: content, duplex: 'half' } as RequestInit)
      await call('POST', `/import/${id}/start`)
      const read = () => call('GET', `/import/${id}`).catch(() => undefined)
      let expiredAt = 0
      const poll = async () => {
        await delay(pollMs)
        const job = await read()
        if (performance.now() > expiredAt + expireEveryMs) {
          await expireLease(false).catch(() => {})
          expiredAt = performance.now()
        }
        return job
      }
      await meanwhile(poll)
      return until(
        'the import to end',
        async () => {
          const job = await poll()
          return job?.ended_at ? job : undefined
        },
        importMsMax,
      )
    },
    killAndStart: async (victim: Victim) => {
      if (victim === 'the server') {
        await server.kill()
        server = await startServer(directory, env)
      } else {
        const part = victim === 'PostgreSQL' ? postgres : s3
        await part.kill()
        await delay(Math.random() * downMsMax)
        await part.start()
      }
      await until('the lease to be expired', () =>
        expireLease(true).then(
          () => true,
          () => false,
        ),
      )
    },
  }
}

/** The outcome of an import in a line. */
export function summary({
  state,
  rows_read,
  created,
  updated,
  unchanged,
  skipped,
  refused,
  error,
}: Job): string {
  return `${state}${error ? ` (${error})` : ''}, ${rows_read} rows: ${created} created, ${updated} updated, ${unchanged} unchanged, ${skipped} skipped, ${refused} refused`
}
