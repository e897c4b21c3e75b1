// What has to run beside the service before it can be opened: the embedded PostgreSQL when no database
// is configured, and the schema.
import { join } from 'node:path'
import { migrate, schemaState } from '../connection/postgres/migrations.ts'
import type { Logger } from '../platform/logger.ts'
import type { Settings } from '../platform/settings.ts'

export type Prepared = {
  databaseUrl: string
  /** The schema was made just now: nobody has stored anything yet. */
  isNew: boolean
  /** Stops what was started, unless another process of this checkout uses it too. */
  close(): Promise<void>
}

/**
 * @param serverLogger given when this process is the checkout's one server
 * @throws Error that says what to do: when a server is running already, or the configured database's
 *   schema is not up to date (a server never migrates a database that it does not own)
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
    const isNew = (await schemaState(embedded.url)) === 'none'
    await migrate(embedded.url)
    return { databaseUrl: embedded.url, isNew, close: embedded.stop }
  } catch (error) {
    await embedded.stop()
    throw error
  }
}
