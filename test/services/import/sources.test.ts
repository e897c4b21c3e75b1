// The fixtures are written as the source's own tools write them; their rows are beside them.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ImportFormat } from '../../../src/model/job.ts'
import { createUserBody } from '../../../src/model/user.ts'
import { check } from '../../../src/model/validate.ts'
import { verifyPassword } from '../../../src/services/identity/passwords.ts'
import { loadParser } from '../../../src/services/import/parsers.ts'
import type { ImportOptions } from '../../../src/services/import/row.ts'
import { bytesOf, chunks, firebaseParameters, fixture, fixtures, rowsOf } from '../../support/import-file.ts'

const options: ImportOptions = { firebase: firebaseParameters }

async function parse(format: ImportFormat, file: string | Uint8Array, more: ImportOptions = options) {
  return rowsOf((await loadParser(format))(bytesOf(file), more))
}

const cases = fixtures.map(({ format, name }) => [name, format] as const)

test.each(cases)('%s gives exactly the rows beside it', async (name, format) => {
  const rows = await parse(format, fixture(name))
  expect(rows).toEqual(
    readFileSync(`test/fixtures/import/rows/${name}.ndjson`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  )
})

test.each(cases)('however %s is split, its rows are the same', async (name, format) => {
  const file = fixture(name)
  const whole = await parse(format, file)
  const parser = await loadParser(format)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(file.length)), async (cuts) => {
      expect(await rowsOf(parser(chunks(file, cuts), options))).toEqual(whole)
    }),
    { numRuns: 50 },
  )
})

test.each(cases)('half of %s is refused, or its last row is', async (name, format) => {
  const file = fixture(name)
  const whole = await parse(format, file)
  const half = file.subarray(0, file.lastIndexOf('\n', file.length - 2) - 5)
  const rows = await parse(format, half).catch((error) => {
    expect(error).toMatchObject({ code: 'invalid', message: expect.stringMatching(/send the whole file/i) })
    return undefined
  })
  if (rows) expect(rows.at(-1)).not.toEqual(whole.at(-1))
})

test('the API accepts each row without faults', async () => {
  for (const [name, format] of cases)
    for (const { line, user, faults } of await parse(format, fixture(name)))
      if (faults.length === 0)
        expect({ name, line, ...check(createUserBody, user, 'pointer') }).not.toHaveProperty('faults')
})

test('each hash of each source verifies with the original password, and with no other', async () => {
  const turn = { share: 'sources', startUntil: Number.POSITIVE_INFINITY }
  let verified = 0
  for (const [name, format] of cases)
    for (const { line, user } of await parse(format, fixture(name))) {
      if (typeof user.password_hash !== 'string') continue
      // The vector of github.com/firebase/scrypt.
      const isFirebase = user.password_hash.startsWith('$firebase-scrypt$')
      const password = isFirebase ? 'user1password' : 'correct horse battery'
      const hash = user.password_hash
      const verify = async (tried: string) => (await verifyPassword(hash, tried, turn)) !== undefined
      expect({ name, line, matches: await verify(password) }).toEqual({ name, line, matches: true })
      expect({ name, line, matches: await verify(`${password}!`) }).toEqual({ name, line, matches: false })
      verified++
    }
  expect(verified).toBe(15)
})
