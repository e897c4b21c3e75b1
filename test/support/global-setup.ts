// Shared by the whole run: PostgreSQL with a migrated template database, Redis, S3, and a folder for builds.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { migrate } from '../../src/connection/postgres/migrations.ts'
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import { hashPassword } from '../../src/services/identity/passwords.ts'
import { serverBundle } from '../../tools/server-bundle.mjs'
import { startRedis } from './redis.ts'
import { startS3 } from './s3.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server on which `freshDatabase` creates databases. */
    postgresUrl: string
    redisUrl: string
    s3Env: Record<string, string>
    /** Of `a-good-password`. */
    passwordHash: string
    /** The folder for `builtOnce`. */
    sharedFolder: string
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const undo: (() => Promise<unknown>)[] = []
  const teardown = async () => {
    for (const step of undo.reverse()) await step()
  }
  // Built here, so that test files do not build it concurrently.
  serverBundle()
  try {
    const directory = await mkdtemp(join(tmpdir(), 'user-directory-postgres-'))
    undo.push(() => rm(directory, { recursive: true, force: true }))
    const postgres = await startEmbeddedPostgres(directory, { durable: false })
    undo.push(postgres.stop)
    await makeTemplate(postgres.url)

    const redis = process.env.REDIS_URL ? undefined : await startRedis()
    if (redis) undo.push(redis.kill)
    const s3 = await startS3()
    undo.push(s3.stop)

    const shared = await mkdtemp(join(tmpdir(), 'user-directory-shared-'))
    undo.push(() => rm(shared, { recursive: true, force: true }))

    project.provide('passwordHash', await hashPassword('setup', 'a-good-password'))
    project.provide('sharedFolder', shared)
    project.provide('postgresUrl', postgres.url)
    project.provide('redisUrl', redis?.url ?? process.env.REDIS_URL ?? '')
    project.provide('s3Env', s3.env)
    return teardown
  } catch (error) {
    await teardown()
    throw error
  }
}

async function makeTemplate(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query('CREATE DATABASE template_directory')
  await client.end()
  await migrate(Object.assign(new URL(url), { pathname: '/template_directory' }).href)
}
