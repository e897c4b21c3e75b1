// A separate database for each test file.
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { atEnd } from './cleanup.ts'

// Copies are made one at a time, because PostgreSQL cannot copy a database that another session uses.
const copyKey = 7_301_450

/** Creates a migrated, empty database, which is dropped when the test or the file ends. */
export async function freshDatabase(): Promise<string> {
  const name = `test_${randomBytes(6).toString('hex')}`
  await administrate('SELECT pg_advisory_lock($1)', `CREATE DATABASE ${name} TEMPLATE template_directory`)
  atEnd(() => administrate(undefined, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  return Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}` }).href
}

async function administrate(lock: string | undefined, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') })
  await client.connect()
  try {
    if (lock) await client.query(lock, [copyKey])
    await client.query(statement)
  } finally {
    await client.end()
  }
}
