// The entry of the function that a deployment calls before new code receives traffic.
import { migrate } from '../connection/postgres/migrations.ts'
import { openLogger } from '../platform/logger.ts'
import { readFunctionSettings } from '../platform/settings.ts'

/** @throws Error that stops the deployment */
export async function handler(): Promise<{ warnings: string[] }> {
  const logger = openLogger('info', { sync: true })
  const { databaseUrl, databaseServiceRole } = readFunctionSettings()
  const warnings = await migrate(databaseUrl, databaseServiceRole)
  logger.info('the schema is up to date', { warnings })
  return { warnings }
}
