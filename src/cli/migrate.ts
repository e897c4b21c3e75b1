// npm run migrate: brings the schema of DATABASE_URL, or of the embedded PostgreSQL, up to date.
import { resolve } from 'node:path'
import { migrate } from '../connection/postgres/migrations.ts'
import { prepareDatabase } from '../dev/prepare-database.ts'
import { readSettings } from '../platform/settings.ts'
import { runCommand } from './command.ts'

await runCommand(async () => {
  const settings = readSettings(process.env, resolve('.data'))
  if (settings.databaseServiceRole && !settings.databaseUrl)
    throw new Error(
      'DATABASE_SERVICE_ROLE requires DATABASE_URL: the embedded PostgreSQL has no service role.',
    )
  const warnings = settings.databaseUrl
    ? await migrate(settings.databaseUrl, settings.databaseServiceRole)
    : []
  if (!settings.databaseUrl) await (await prepareDatabase(settings)).close()
  process.stdout.write(`${['The schema is up to date.', ...warnings].join('\n')}\n`)
})
