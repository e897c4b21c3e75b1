// The queues before scarce work: nobody waits for what would come too late.
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { boundedQueue } from '../src/connection/limits.ts'

const overloaded = { code: 'overloaded', retryAfterSeconds: 2 }
const work = (ms: number) => () => pause(ms, 'done')

/** What became of calls that came at once, in the order in which it was known. */
async function outcomes(calls: Promise<unknown>[]): Promise<('done' | 'refused')[]> {
  const known: ('done' | 'refused')[] = []
  await Promise.all(
    calls.map((call) =>
      call.then(
        () => known.push('done'),
        (error: unknown) => {
          expect(error).toMatchObject(overloaded)
          known.push('refused')
        },
      ),
    ),
  )
  return known
}

it('a call that finds the queue full is refused, and one that comes when there is room again is served', async () => {
  const queue = boundedQueue(1, { waiting: 2 })
  const known = await outcomes(Array.from({ length: 5 }, () => queue(work(1))))
  expect(known).toEqual(['refused', 'refused', 'done', 'done', 'done'])
  expect(await queue(work(0))).toBe('done')
})

it('a call that would wait too long, by what calls took of late, is refused before any other has ended', async () => {
  const queue = boundedQueue(2, { waiting: 1_000, waitMsMax: 100 })
  await queue(work(40))
  const known = await outcomes(Array.from({ length: 30 }, () => queue(work(0))))
  const refused = known.filter((outcome) => outcome === 'refused').length
  // Two run, and some five wait: for less time than it takes here, if the machine is slow.
  expect(refused).toBeGreaterThanOrEqual(30 - 2 - 6)
  expect(known.slice(0, refused)).toEqual(Array<string>(refused).fill('refused'))
  expect(refused).toBeLessThan(30)
})

it('a call whose turn has come too late is refused, though nobody knew before how long calls take', async () => {
  const queue = boundedQueue(1, { waiting: 1_000, waitMsMax: 50 })
  const known = await outcomes(Array.from({ length: 4 }, () => queue(work(60))))
  expect(known).toEqual(['done', 'refused', 'refused', 'refused'])
})

it('what fails does not make others be refused', async () => {
  const queue = boundedQueue(1, { waiting: 1_000, waitMsMax: 1_000 })
  await expect(queue(() => work(200)().then(() => Promise.reject(new Error('broken'))))).rejects.toThrow(
    'broken',
  )
  expect(await outcomes(Array.from({ length: 20 }, () => queue(work(0))))).toEqual(
    Array<string>(20).fill('done'),
  )
})
