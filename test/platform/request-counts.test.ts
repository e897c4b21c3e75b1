// Requests are counted by the minute, in bounded memory.
import { expect, it } from 'vitest'
import { createRequestCounts } from '../../src/platform/request-counts.ts'

const minuteMs = 60_000
const start = 1_800_000_000_000 - (1_800_000_000_000 % minuteMs)

function startCounts() {
  const time = { ms: start }
  const counts = createRequestCounts(() => time.ms)
  const last = () => counts.lastHour().at(-1)
  return { time, counts, last }
}

it('a minute has its requests, errors, answers of the cache and the 95th percentile', () => {
  const { counts, last } = startCounts()
  for (let index = 0; index < 94; index++) counts.add(200, 1, 'hit')
  for (let index = 0; index < 3; index++) counts.add(503, 100, 'bypass')
  for (let index = 0; index < 3; index++) counts.add(404, 100, 'miss')
  counts.addRejected()
  expect(last()).toMatchObject({ startMs: start, requests: 101, errors: 4, hits: 94, misses: 3, bypasses: 3 })
  expect(last()?.p95Ms).toBeGreaterThan(90)
  expect(last()?.p95Ms).toBeLessThan(110)
})

it.for([0, 0.01, 0.5, 3, 42, 999, 60_000])('the percentile of %s ms is within a tenth', (durationMs) => {
  const { counts, last } = startCounts()
  counts.add(200, durationMs, undefined)
  const p95 = last()?.p95Ms ?? 0
  expect(Math.abs(p95 - durationMs)).toBeLessThanOrEqual(Math.max(durationMs * 0.1, 0.12))
})

it('an hour has sixty minutes, and those without a request are empty', () => {
  const { time, counts } = startCounts()
  counts.add(200, 1, undefined)
  time.ms = start + 59 * minuteMs
  counts.add(200, 1, undefined)
  const minutes = counts.lastHour()
  expect(minutes.map(({ requests }) => requests)).toEqual([1, ...Array(58).fill(0), 1])
  expect(minutes[1]).toMatchObject({ startMs: start + minuteMs, p95Ms: null })
})

it('a minute leaves no trace in the same slot an hour later', () => {
  const { time, counts, last } = startCounts()
  counts.add(500, 1_000, 'hit')
  time.ms = start + 60 * minuteMs
  expect(last()).toMatchObject({ requests: 0, p95Ms: null })
  counts.add(200, 1, 'miss')
  expect(last()).toMatchObject({ requests: 1, errors: 0, hits: 0, misses: 1 })
  expect(last()?.p95Ms).toBeLessThan(2)
})

it('a request without an answer has no duration, and an infinite one is in the last class', () => {
  const { counts, last } = startCounts()
  counts.addRejected()
  expect(last()).toMatchObject({ requests: 1, errors: 1, p95Ms: null })
  counts.add(200, Number.POSITIVE_INFINITY, undefined)
  counts.add(200, Number.NaN, undefined)
  expect(last()?.p95Ms).toBeGreaterThan(60_000)
})
