// Provides the database: the configured one, or the embedded PostgreSQL with its schema up to date.
import { join } from 'node:path'
import { migrate, schemaState } from '../connection/postgres/migrations.ts'
import type { Logger } from '../platform/logger.ts'
import type { Settings } from '../platform/settings.ts'

export type Prepared = {
  databaseUrl: string
  /** The schema was just created, so there are no users yet. */
  isNew: boolean
  /** Stops the embedded PostgreSQL, unless another process of this checkout uses it. */
  close(): Promise<void>
}

/**
 * A configured database is never migrated here, because it may serve other processes.
 * @param serverLogger given by the checkout's one server
 * @throws Error that says what to do, when a server is already running, or when the schema is not up to date
 */
export async function prepareDatabase(settings: Settings, serverLogger?: Logger): Promise<Prepared> {
  if (settings.databaseUrl) {
    if ((await schemaState(settings.databaseUrl)) !== 'current')
      throw new Error("The database's schema is not up to date. Run: npm run migrate")
    return { databaseUrl: settings.databaseUrl, isNew: false, close: async () => {} }
  }
  const { startEmbeddedPostgres } = await import('./embedded-postgres.ts')
  const embedded = await startEmbeddedPostgres(join(settings.dataDirectory, 'postgres'), {
    exclusive: serverLogger !== undefined,
    ...(serverLogger && { log: (message) => serverLogger.warn(message) }),
  })
  try {
    const state = await schemaState(embedded.url)
    if (state === 'unknown')
      throw new Error(
        `The data in ${settings.dataDirectory} was created by an earlier development version. Move that folder away, or delete it, and start again.`,
      )
    await migrate(embedded.url)
    return { databaseUrl: embedded.url, isNew: state === 'none', close: embedded.stop }
  } catch (error) {
    await embedded.stop()
    throw error
  }
}
