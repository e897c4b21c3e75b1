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
import { bytesOf, firebaseParameters, fixture, fixtures, rowsOf } from '../../support/import-file.ts'

const ownFiles: { format: ImportFormat; file: Buffer }[] = [
  {
    format: 'ndjson',
    file: Buffer.from(
      '{"username":"ada","attributes":{"a":1},"password_hash":"$2b$10$x"}\n{"username":"bea"}\n',
    ),
  },
  {
    format: 'csv',
    file: Buffer.from('username,name,contacts.0.value,attributes.a:number\nada,"A, ""B""",x,1\nbea,,,\n'),
  },
  { format: 'csv', file: Buffer.from('username;name\nada;"A; ""B"""\nbea;\n') },
]
const originals = [...fixtures.map(({ format, name }) => ({ format, file: fixture(name) })), ...ownFiles]

const hostile = [
  '\0'.repeat(5_000),
  '\\ud800',
  '"',
  '""',
  '\n',
  '\r',
  '{"__proto__":{"isAdmin":true}}',
  '1e999999',
  '9'.repeat(50_000),
  '['.repeat(100_000),
  '{"a":'.repeat(50_000),
  '","'.repeat(30_000),
  '"a,'.repeat(30_000),
  ','.repeat(100_000),
  "=cmd|' /C calc'!A0",
].map((text) => Buffer.from(text))
// A surrogate, an overlong form and a lone byte are no UTF-8.
const bytes = [
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xc0, 0x80),
  Buffer.of(0xff),
  Buffer.of(0xef, 0xbb, 0xbf),
]

type Change = {
  kind: 'flip' | 'cut' | 'repeat' | 'splice' | 'insert'
  at: number
  length: number
  pick: number
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'repeat', 'splice', 'insert', 'insert'),
  at: fc.nat(10_000),
  length: fc.nat(500),
  pick: fc.nat(1_000),
})

function apply(file: Buffer, { kind, at, length, pick }: Change): Buffer {
  const from = at % (file.length + 1)
  const [start, middle, end] = [
    file.subarray(0, from),
    file.subarray(from, from + length),
    file.subarray(from),
  ]
  switch (kind) {
    case 'flip':
      return Buffer.concat([
        start,
        middle.map((byte) => byte ^ (1 << (pick % 8))),
        file.subarray(from + length),
      ])
    case 'cut':
      return start
    case 'repeat':
      return Buffer.concat([start, ...Array.from({ length: pick % 50 }, () => middle), end])
    case 'splice': {
      const other = originals[pick % originals.length]?.file ?? file
      return Buffer.concat([start, other.subarray(length % other.length)])
    }
    case 'insert': {
      const all = [...hostile, ...bytes]
      return Buffer.concat([start, all[pick % all.length] ?? file, end])
    }
  }
}

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

const secrets = /\$2[aby]\$\d\d|\$argon2|\$pbkdf2|\$firebase|jxspr8Ki|JBSWY3DP|lSrfV15c/

test('200 damaged files give rows or one clear error each, and no message holds a secret', async () => {
  const before = process.memoryUsage().rss
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...originals),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      async ({ format, file }, changes) => {
        const started = performance.now()
        const result = await outcome(format, bytesOf(changes.reduce(apply, file)))
        expect(performance.now() - started).toBeLessThan(10_000)
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
      },
    ),
    { numRuns: 200 },
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(400_000_000)
})

test.each(importFormats)('a %s file of any hostile bytes gives rows or one clear error', async (format) => {
  for (const piece of [...hostile, ...bytes])
    for (const prefix of ['', '{"users":[', '{"Users":[{"Attributes":', 'id,email,encrypted_password\n'])
      for (const times of [1, 5]) {
        const file = Buffer.concat([Buffer.from(prefix), ...Array.from({ length: times }, () => piece)])
        const started = performance.now()
        await outcome(format, bytesOf(file))
        expect(performance.now() - started).toBeLessThan(10_000)
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
