import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createSeenKeys } from '../../../src/services/import/seen-keys.ts'

test('each key has the line that claimed it first, as in a map', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 3 }), { maxLength: 200 }), (keys) => {
      const seen = createSeenKeys()
      const lines = new Map<string, number>()
      for (const [at, key] of keys.entries()) {
        expect(seen.claim(key, at + 1)).toBe(lines.get(key))
        if (!lines.has(key)) lines.set(key, at + 1)
      }
      for (const key of [...keys, 'absent']) expect(seen.find(key)).toBe(lines.get(key))
    }),
  )
})

test('keeps a hundred thousand keys apart while it grows', () => {
  const seen = createSeenKeys()
  let repeated = 0
  for (let line = 1; line <= 100_000; line++) if (seen.claim(`user.${line}`, line) !== undefined) repeated++
  expect(repeated).toBe(0)
  for (let line = 1; line <= 100_000; line += 997) expect(seen.claim(`user.${line}`, 1)).toBe(line)
})
