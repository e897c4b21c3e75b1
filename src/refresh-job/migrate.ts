// The entry of the function that a deployment calls before new code receives traffic, and a restore after the database was
// replaced.
import { beginNewEras } from '../connection/cache/begin-new-eras.ts'
import { migrate } from '../connection/postgres/migrations.ts'
import { openPostgres } from '../connection/postgres/postgres.ts'
import { openLogger } from '../platform/logger.ts'
import { readFunctionSettings } from '../platform/settings.ts'

/**
 * @param event.isRestored the database has the rows of an earlier time
 * @throws Error that stops the deployment
 */
export async function handler(event?: { isRestored?: boolean } | null): Promise<{ warnings: string[] }> {
  const logger = openLogger('info', { sync: true })
  const { databaseUrl, databaseServiceRole } = readFunctionSettings()
  const warnings = await migrate(databaseUrl, databaseServiceRole)
  logger.info('the schema is up to date', { warnings })
  if (event?.isRestored === true) {
    const db = openPostgres(databaseUrl, logger)
    try {
      await beginNewEras(db)
    } finally {
      await db.close()
    }
    logger.info('the cache starts empty, because the database was restored')
  }
  return { warnings }
}
