// Jobs give way to requests.
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createJobPace } from '../../../src/services/jobs/pace.ts'

/** @returns the milliseconds that a job rests after a step of `tookMs`, beside which `others` used the event loop */
async function restAfter(tookMs: number, others: () => unknown): Promise<number> {
  const pace = createJobPace()
  await others()
  const startedAt = performance.now()
  await pace(1_000, tookMs)
  return performance.now() - startedAt
}

it('a job rests for three times as long as its step took while requests use the event loop', async () => {
  const rest = await restAfter(100, () => {
    const endsAt = performance.now() + 100
    while (performance.now() < endsAt);
  })
  // Timers may fire a millisecond early.
  expect(rest).toBeGreaterThan(295)
})

it('a job goes on at once while the event loop is idle', async () => {
  // It would rest for three seconds.
  expect(await restAfter(10_000, () => pause(100))).toBeLessThan(2_900)
})
