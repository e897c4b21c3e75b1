// Files that were damaged, by accident or on purpose: each gives rows or one clear error, in bounded time and memory.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ServiceError } from '../../../src/model/errors.ts'
import { type ImportFormat, importFormats } from '../../../src/model/job.ts'
import { createRowCheck } from '../../../src/services/import/check-row.ts'
import { decompress } from '../../../src/services/import/decompress.ts'
import { loadParser } from '../../../src/services/import/parsers.ts'
import { readHashes } from '../../../src/services/import/read-hashes.ts'
import type { ImportRow } from '../../../src/services/import/row.ts'
import { damagedFile, hostilePieces, secrets } from '../../support/damaged-file.ts'
import { bytesOf, firebaseParameters, rowsOf } from '../../support/import-file.ts'

// Processor time, because other work of the machine may take most of the time.
const cpuMicrosecondsMax = 10_000_000

async function outcome(
  format: ImportFormat,
  file: AsyncIterable<Uint8Array>,
): Promise<ImportRow[] | ServiceError> {
  const rows: ImportRow[] = []
  try {
    for await (const array of (await loadParser(format))(file, { firebase: firebaseParameters }))
      rows.push(...array)
    return rows
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'invalid') return error
    throw error
  }
}

test('200 damaged files give rows or one clear error each, and no message holds a secret', async () => {
  const before = process.memoryUsage().rss
  await fc.assert(
    fc.asyncProperty(damagedFile, async ({ format, file }) => {
      const started = process.cpuUsage()
      const result = await outcome(format, bytesOf(file))
      expect(process.cpuUsage(started).user).toBeLessThan(cpuMicrosecondsMax)
      if (result instanceof ServiceError) {
        expect(result.message).toMatch(/^The .+\.$/s)
        expect(result.message).not.toMatch(secrets)
        return
      }
      let line = 0
      for (const { line: number, user, faults } of result) {
        expect(number).toBeGreaterThan(line)
        line = number
        expect(Object.getPrototypeOf(user)).toBe(Object.prototype)
        for (const { message } of faults) expect(message).not.toMatch(secrets)
      }
      expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
    }),
    { numRuns: 200 },
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000)
})

test.each(importFormats)('a %s file of any hostile bytes gives rows or one clear error', async (format) => {
  for (const piece of hostilePieces)
    for (const prefix of ['', '{"users":[', '{"Users":[{"Attributes":', 'id,email,encrypted_password\n'])
      for (const times of [1, 5]) {
        const file = Buffer.concat([Buffer.from(prefix), ...Array.from({ length: times }, () => piece)])
        const started = process.cpuUsage()
        await outcome(format, bytesOf(file))
        expect(process.cpuUsage(started).user).toBeLessThan(cpuMicrosecondsMax)
      }
})

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** The bytes in buffers that something still refers to. */
function heldBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

test('a user of over a megabyte in one JSON document is refused by its position, in flat memory', async () => {
  const before = heldBytes()
  let held = 0
  async function* huge() {
    yield Buffer.from('{"users":[{"username":"ada"},{"username":"')
    for (let at = 0; at < 500; at++) {
      yield Buffer.alloc(1_000_000, 'x')
      if (at % 100 === 99) held = Math.max(held, heldBytes() - before)
    }
    yield Buffer.from('"},{"username":"bea"}]}')
  }
  const result = await outcome('keycloak', huge())
  expect(held).toBeLessThan(50_000_000)
  expect(result).toMatchObject([
    { line: 1, faults: [] },
    { line: 2, faults: [{ message: 'must be at most 1000000 bytes' }] },
    { line: 3, faults: [] },
  ])
})

test('hashes of a megabyte in the second file are refused with their users, in flat memory', async () => {
  const before = heldBytes() + process.memoryUsage().heapUsed
  async function* huge() {
    for (let at = 0; at < 300; at++)
      yield Buffer.from(`{"_id":"${at}","passwordHash":"${'x'.repeat(900_000)}"}\n`)
  }
  const hashesOf = await readHashes(huge(), new AbortController().signal)
  expect(heldBytes() + process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000)
  const user = '{"user_id":"auth0|7","email":"a@example.com"}\n'
  const [row] = await rowsOf((await loadParser('auth0'))(bytesOf(user), { hashesOf }))
  if (!row) return expect.fail('the file has one row')
  expect(createRowCheck({ match: 'username' })(row)).toMatchObject({
    faults: [{ pointer: '/password_hash', message: 'must be at most 512 characters' }],
  })
})

test('a bomb ends in one clear error for every format', async () => {
  const bomb = gzipSync(Buffer.alloc(70_000_000, ' '))
  for (const format of importFormats) {
    const result = await outcome(format, decompress(bytesOf(bomb), { bytesMax: 10_000_000_000 }))
    expect(result).toMatchObject({ code: 'invalid' })
  }
})
