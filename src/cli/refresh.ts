// npm run refresh: compares the cache and the avatars with the database, and repairs what has drifted.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openConnections } from '../connection/open.ts'
import { prepareDatabase } from '../dev/prepare-database.ts'
import { openLogger } from '../platform/logger.ts'
import { readSettings } from '../platform/settings.ts'
import { revalidate } from '../services/revalidation/run.ts'
import { runCommand, showProgress } from './command.ts'

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '15' },
      'remove-most': { type: 'boolean', default: false },
    },
  })
  const minutes = Number(values.minutes)
  if (!(minutes > 0 && minutes <= 1_440)) throw new Error('--minutes must be more than 0 and at most 1440')
  const settings = readSettings(process.env, resolve('.data'))
  const prepared = await prepareDatabase(settings)
  const logger = openLogger('info')
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort())
  const connections = openConnections({ ...settings, databaseUrl: prepared.databaseUrl }, logger)
  try {
    const { isFinished } = await revalidate(connections, {
      stopAt: performance.now() + minutes * 60_000,
      signal: stopping.signal,
      removeMost: values['remove-most'],
      onProgress: ({ scanned }, total) => showProgress(scanned, Math.max(scanned, total)),
    })
    if (!isFinished) throw new Error('Not finished. The next run continues where this one stopped.')
  } finally {
    await connections.close()
    await prepared.close()
    await logger.flush()
  }
})
