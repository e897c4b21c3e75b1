// Hostile files through whole imports: over the API, into the database.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { damagedFile, secrets } from '../../support/damaged-file.ts'
import { errorsOf, runImport } from '../../support/import.ts'
import { firebaseParameters } from '../../support/import-file.ts'
import { startService } from '../../support/service.ts'

const service = await startService()

async function storedUsers(): Promise<number> {
  const [row] = await service.connections.db.query((queries) =>
    queries.unprepared<{ users: number }>('SELECT count(*)::int AS users FROM users', []),
  )
  return row?.users ?? 0
}

test('imports of 200 damaged files end in a clear report each, and store exactly what they report', async () => {
  const memory = process.memoryUsage().rss
  let users = await storedUsers()
  await fc.assert(
    fc.asyncProperty(damagedFile, async ({ format, file }) => {
      // The API refuses an empty file.
      if (file.length === 0) return
      const options = format === 'firebase' && { options: { firebase: firebaseParameters } }
      const job = await runImport(service, file, { format, ...options })
      const { state, error, rows_read, created, skipped, refused } = job
      if (state === 'failed') expect(error).toMatch(/^The .+\.$/s)
      else expect(job).toMatchObject({ state: 'done', error: null })
      expect(created + skipped + refused).toBe(rows_read)
      users += created
      expect(await storedUsers()).toBe(users)
      const faults = await errorsOf(service, job.id)
      expect(new Set(faults.map(({ line }) => line)).size).toBeLessThanOrEqual(refused)
      expect(faults.length > 0).toBe(refused > 0)
      for (const { message } of faults) expect(message).not.toBe('')
      expect(JSON.stringify([error, faults])).not.toMatch(secrets)
    }),
    { numRuns: 200 },
  )
  expect(process.memoryUsage().rss - memory).toBeLessThan(400_000_000)
  expect(JSON.stringify(service.log)).not.toMatch(secrets)
}, 600_000)
