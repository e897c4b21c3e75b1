// COPY reads back every value as it was written.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { copyRow } from '../../../src/connection/postgres/copy-text.ts'
import { startService } from '../../support/service.ts'

const { connections } = await startService()

it('keeps tabs, line ends, backslashes, the end mark and null apart', async () => {
  const text = fc.oneof(
    fc.constantFrom('', '\\N', '\\.', '\\', '\t', '\n', '\r\n', '\\t', '"', "'", '高橋', '😀', 'NULL'),
    fc.stringMatching(/^[\\\t\n\rNa."]{0,8}$/),
  )
  const rows = fc.array(fc.tuple(fc.option(text), fc.dictionary(fc.constantFrom('a', 'b'), text)), {
    minLength: 1,
    maxLength: 50,
  })
  await connections.db.ownSession(({ transaction }) =>
    fc.assert(
      fc.asyncProperty(rows, (values) =>
        transaction(async (queries) => {
          await queries.unprepared('CREATE TEMP TABLE copied (n int, t text, j jsonb) ON COMMIT DROP', [])
          const lines = values.map(([text, json], at) => copyRow([at, text, json]))
          await queries.copyIn('COPY copied FROM STDIN', Buffer.from(lines.join('')))
          const stored = await queries.unprepared('SELECT t, j FROM copied ORDER BY n', [])
          expect(stored).toEqual(values.map(([t, j]) => ({ t, j: { ...j } })))
        }),
      ),
      { numRuns: 20 },
    ),
  )
})

it('a failed COPY leaves the session usable, and none of its rows', async () => {
  await connections.db.ownSession(async ({ transaction }) => {
    const fill = transaction(async (queries) => {
      await queries.copyIn('COPY released_usernames FROM STDIN', Buffer.from('not a row\n'))
    })
    await expect(fill).rejects.toThrow(/invalid input syntax|missing data/)
    const rows = await transaction((queries) => queries.unprepared('SELECT 1 AS one', []))
    expect(rows).toEqual([{ one: 1 }])
  })
})
