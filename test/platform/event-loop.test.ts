import { expect, test } from 'vitest'
import { createTurns } from '../../src/platform/event-loop.ts'

function occupy(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

test('a computation rests for a short time while others are busy, however long it waited before', async () => {
  const { isOver, letOthersRun } = createTurns()
  expect(isOver()).toBe(false)
  occupy(500)
  expect(isOver()).toBe(true)
  setImmediate(occupy, 5)
  const restedAt = performance.now()
  await letOthersRun()
  expect(performance.now() - restedAt).toBeLessThan(1_000)
})
