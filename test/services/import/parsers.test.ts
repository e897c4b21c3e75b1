import { expect, test } from 'vitest'
import { importFormats } from '../../../src/model/job.ts'
import { loadParser } from '../../../src/services/import/parsers.ts'

test('each format has a parser of its own', async () => {
  const parsers = await Promise.all(importFormats.map((format) => loadParser(format)))
  expect(new Set(parsers).size).toBe(importFormats.length)
})
