import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseNdjson } from '../../../../src/services/import/formats/ndjson.ts'
import { bytesOf, chunks, rowsOf } from '../../../support/import-file.ts'

const parse = (...parts: (string | Uint8Array)[]) => rowsOf(parseNdjson(bytesOf(...parts), {}))

test('each line is a user, with the number of its line; empty lines are skipped', async () => {
  expect(await parse('\uFEFF{"username":"ada"}\r\n\n  \n{"username":"bea","password_hash":"$2b$…"}')).toEqual(
    [
      { line: 1, user: { username: 'ada', password: null }, faults: [] },
      { line: 4, user: { username: 'bea', password_hash: '$2b$…' }, faults: [] },
    ],
  )
})

test('a user whose exported hash is null has no password', async () => {
  expect(await parse('{"username":"ada","password_hash":null}\n')).toEqual([
    { line: 1, user: { username: 'ada', password: null }, faults: [] },
  ])
})

test('lines that are no JSON object are refused, and the others are read', async () => {
  const rows = await parse('{"a":\n[]\nnull\n{"username":"ada"}\n', Uint8Array.of(0x22, 0xff, 0x22, 0x0a))
  expect(rows.map(({ line, faults }) => [line, faults[0]?.message])).toEqual([
    [1, 'must be one JSON object'],
    [2, 'must be one JSON object'],
    [3, 'must be one JSON object'],
    [4, undefined],
    [5, 'must be UTF-8; save the file in UTF-8 and send it again'],
  ])
})

test('a line of over a megabyte is refused by its number, in flat memory', async () => {
  const block = Buffer.alloc(1_000_000, 'x')
  async function* huge() {
    yield Buffer.from('{"username":"ada"}\n{"name":"')
    for (let at = 0; at < 1_000; at++) yield block
    yield Buffer.from('"}\n{"username":"bea"}\n')
  }
  const before = process.memoryUsage().arrayBuffers
  const rows = await rowsOf(parseNdjson(huge(), {}))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000)
  expect(rows.map(({ line, user, faults }) => [line, user.username, faults[0]?.message])).toEqual([
    [1, 'ada', undefined],
    [2, undefined, 'must be at most 1000000 bytes'],
    [3, 'bea', undefined],
  ])
})

test('a file that ends in the middle of a line is refused', async () => {
  await expect(parse('{"username":"ada"}\n{"userna')).rejects.toMatchObject({
    code: 'invalid',
    message: 'The file ends in the middle of line 2. Send the whole file.',
  })
})

test('a file in UTF-16 is refused by name', async () => {
  await expect(parse(Buffer.from('\uFEFF{"username":"ada"}\n', 'utf16le'))).rejects.toThrow('UTF-16')
})

test('however the file is split, the rows are the same', async () => {
  const file = Buffer.from('\uFEFF{"name":"Zoë 🦊"}\r\n\n{"bad\n{"name":"Ada"}')
  const whole = await parse(file)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(file.length)), async (cuts) => {
      expect(await rowsOf(parseNdjson(chunks(file, cuts), {}))).toEqual(whole)
    }),
  )
})
