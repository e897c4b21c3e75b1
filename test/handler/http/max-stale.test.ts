// The staleness that a caller accepts, by Cache-Control.
import { expect, it } from 'vitest'
import { readMaxStale, staleSecondsMax } from '../../../src/handler/http/max-stale.ts'

it.each([
  ['max-stale=5', 5],
  ['max-stale="5"', 5],
  ['Max-Stale=5', 5],
  ['max-age=0,  max-stale=5 , no-store', 5],
  [',max-stale=5,', 5],
  ['max-stale', staleSecondsMax],
  ['max-stale=61', staleSecondsMax],
  [`max-stale=${'9'.repeat(400)}`, staleSecondsMax],
])('%s accepts %i seconds', (header, seconds) => {
  expect(readMaxStale(header)).toBe(seconds)
})

it.each([
  [undefined],
  [''],
  ['no-store, max-age=0, max-stalemate=5'],
  ['max-stale=5, no-cache'],
  ['max-stale=0'],
  ['max-stale=-1'],
  ['max-stale=1.5'],
  ['max-stale=1e9'],
  ['max-stale='],
  ['max-stale="5'],
  ['max-stale=5 6'],
  ['max-stale=5, max-stale=x'],
])('%s accepts no stale answer', (header) => {
  expect(readMaxStale(header)).toBe(0)
})

it('the strictest of several directives counts', () => {
  expect(readMaxStale('max-stale=9, max-stale=3, max-stale')).toBe(3)
})

it('a long header costs little', () => {
  const startedAt = performance.now()
  for (const part of [',', ' ', 'max-stale', 'max-stale=1,', '"']) readMaxStale(part.repeat(16_000))
  expect(performance.now() - startedAt).toBeLessThan(500)
})
