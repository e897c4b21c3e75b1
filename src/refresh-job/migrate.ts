// The entry of the function that a deployment calls before new code gets traffic.
import { openLogger } from '../connection/logger.ts'
import { migrate } from '../connection/migrations.ts'
import { readSettings } from '../connection/settings.ts'

/** @throws Error that stops the deployment */
export async function handler(): Promise<{ warnings: string[] }> {
  const logger = openLogger('info', { sync: true })
  const { databaseUrl, databaseServiceRole } = readSettings(
    { NODE_ENV: 'production', ...process.env },
    '/tmp',
  )
  if (databaseUrl === undefined) throw new Error('DATABASE_URL is required')
  const warnings = await migrate(databaseUrl, databaseServiceRole)
  logger.info('the schema is up to date', { warnings })
  return { warnings }
}
