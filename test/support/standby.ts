// A PostgreSQL with a streaming standby.
import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '../../src/connection/postgres/migrations.ts'
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import { atEnd } from './cleanup.ts'
import { startKillablePostgres } from './killable.ts'

/** Starts both with a migrated database, and stops them when the test or the file ends. */
export async function startStandby() {
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-standby-'))
  atEnd(() => rm(directory, { recursive: true, force: true }))
  const [home, copy] = [join(directory, 'primary'), join(directory, 'standby')]
  const start = () => startEmbeddedPostgres(home, { durable: false })
  const first = await start()
  await migrate(first.url)
  await first.stop()
  // The embedded PostgreSQL comes without pg_basebackup.
  await cp(home, copy, { recursive: true, preserveTimestamps: true })
  const primary = await start()
  atEnd(primary.stop)
  const { port, username, password } = new URL(primary.url)
  await appendFile(
    join(copy, 'data', 'postgresql.auto.conf'),
    `primary_conninfo = 'host=127.0.0.1 port=${port} user=${username} password=${password}'\n`,
  )
  await writeFile(join(copy, 'data', 'standby.signal'), '')
  const standby = await startKillablePostgres(copy)
  atEnd(standby.stop)
  return { primaryUrl: primary.url, standby }
}
