// npm run seed -- 10000: adds sample users to the configured or the embedded database.
import { resolve } from 'node:path'
import { openConnections } from '../connection/open.ts'
import { prepareDatabase } from '../dev/prepare-database.ts'
import { samplePassword, sampleSuffix, seedSamples } from '../dev/samples.ts'
import { openLogger } from '../platform/logger.ts'
import { readSettings } from '../platform/settings.ts'
import { runCommand, showProgress } from './command.ts'

const countMax = 10_000_000

await runCommand(async () => {
  const [given = '1000', ...rest] = process.argv.slice(2)
  const count = Number(given)
  if (rest.length > 0 || !/^\d{1,8}$/.test(given) || count < 1 || count > countMax)
    throw new Error(
      `The number of users must be a whole number from 1 to ${countMax}, such as: npm run seed -- 10000`,
    )
  if (process.env.NODE_ENV === 'production')
    throw new Error('Sample users must not be created with NODE_ENV=production.')
  const settings = readSettings(process.env, resolve('.data'))
  const prepared = await prepareDatabase(settings)
  const connections = openConnections({ ...settings, databaseUrl: prepared.databaseUrl }, openLogger('warn'))
  const startedAt = performance.now()
  try {
    await seedSamples(connections, count, {
      suffix: sampleSuffix(),
      onProgress: (stored) => showProgress(stored, count),
    })
  } finally {
    await connections.close()
    await prepared.close()
  }
  const seconds = (performance.now() - startedAt) / 1000
  process.stdout.write(
    `${count} users in ${seconds.toFixed(1)} s, each with the password ${samplePassword}\n`,
  )
})
