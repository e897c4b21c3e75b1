// The fair queue rejects calls that would wait too long.
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { fairQueue } from '../../src/platform/queue.ts'
import { until } from '../support/wait.ts'

const overloaded = { code: 'overloaded', retryAfterSeconds: 2 }
const work = (ms: number) => () => pause(ms, 'done')

/** The outcomes of concurrent calls, in the order in which they became known. */
async function outcomes(calls: Promise<unknown>[]): Promise<('done' | 'rejected')[]> {
  const known: ('done' | 'rejected')[] = []
  await Promise.all(
    calls.map((call) =>
      call.then(
        () => known.push('done'),
        (error: unknown) => {
          expect(error).toMatchObject(overloaded)
          known.push('rejected')
        },
      ),
    ),
  )
  return known
}

it('rejects a call when the queue is full, and serves calls again once there is room', async () => {
  const queue = fairQueue(1, { waiting: 2 })
  const known = await outcomes(Array.from({ length: 5 }, () => queue('all', work(1))))
  expect(known).toEqual(['rejected', 'rejected', 'done', 'done', 'done'])
  expect(await queue('all', work(0))).toBe('done')
})

it('rejects a call at once if it would wait too long by recent durations', async () => {
  const queue = fairQueue(2, { waiting: 1_000, waitMsMax: 100 })
  await queue('all', work(40))
  const known = await outcomes(Array.from({ length: 30 }, () => queue('all', work(0))))
  const refused = known.filter((outcome) => outcome === 'rejected').length
  // Two run, and some five wait: for less time than it takes here, if the machine is slow.
  expect(refused).toBeGreaterThanOrEqual(30 - 2 - 6)
  expect(known.slice(0, refused)).toEqual(Array<string>(refused).fill('rejected'))
  expect(refused).toBeLessThan(30)
})

it('rejects a call whose turn comes too late, if durations were unknown before', async () => {
  const queue = fairQueue(1, { waiting: 1_000, waitMsMax: 50 })
  const known = await outcomes(Array.from({ length: 4 }, () => queue('all', work(60))))
  expect(known.toSorted()).toEqual(['done', 'rejected', 'rejected', 'rejected'])
})

it('failed calls do not cause rejections', async () => {
  const queue = fairQueue(1, { waiting: 1_000, waitMsMax: 1_000 })
  await expect(
    queue('all', () => work(200)().then(() => Promise.reject(new Error('broken')))),
  ).rejects.toThrow('broken')
  expect(await outcomes(Array.from({ length: 20 }, () => queue('all', work(0))))).toEqual(
    Array<string>(20).fill('done'),
  )
})

it('a long queue does not delay other shares: shares take turns', async () => {
  const queue = fairQueue(1, { waiting: 1_000 })
  const order: string[] = []
  const call = (share: string) => queue(share, async () => void order.push(share))
  await Promise.all([...Array.from({ length: 50 }, () => call('a')), call('b'), call('b'), call('c')])
  expect(order.slice(0, 7).join('')).toBe('abcabaa')
  expect(order).toHaveLength(53)
})

it('the share with the fewest running calls is next, even if others have waited longer', async () => {
  const queue = fairQueue(4, { waiting: 1_000 })
  const begun: string[] = []
  const ends: (() => void)[] = []
  const call = (share: string) =>
    queue(share, () => {
      begun.push(share)
      return new Promise<void>((end) => ends.push(end))
    })
  const calls = ['a', 'a', 'b', 'b', 'a', 'b', 'c', 'c'].map(call)
  // One of a's ends: a and b run one and two, c none.
  for (const [n, expected] of ['c', 'a', 'c', 'b'].entries()) {
    ends.shift()?.()
    await until('the next call', () => begun.length === 5 + n)
    expect(begun.at(-1)).toBe(expected)
  }
  for (const end of ends) end()
  await Promise.all(calls)
})

it('a share never runs more calls than it may, and others start at once meanwhile', async () => {
  const queue = fairQueue(4, { waiting: 1_000, runningPerShare: 2 })
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  let running = 0
  let most = 0
  const hold = Array.from({ length: 5 }, () =>
    queue('a', async () => {
      most = Math.max(most, ++running)
      await held
      running--
    }),
  )
  expect(await Promise.all([queue('b', work(0)), queue('c', work(0))])).toEqual(['done', 'done'])
  expect(running).toBe(2)
  release()
  await Promise.all(hold)
  expect(most).toBe(2)
})

it('a full queue rejects the newest call of the longest share, or the new call if that is its own', async () => {
  const queue = fairQueue(1, { waiting: 4 })
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const refused: string[] = []
  const call = (name: string) =>
    queue(name.slice(0, 1), () => held).catch((error: unknown) => {
      expect(error).toMatchObject(overloaded)
      refused.push(name)
    })
  const calls = ['a0', 'a1', 'a2', 'a3', 'a4'].map(call)
  calls.push(call('a5'))
  await until('the newcomer to be refused', () => refused.length === 1)
  calls.push(call('b1'), call('b2'), call('b3'))
  release()
  await Promise.all(calls)
  // Two each are left of a and b: b3 would make its share the longest.
  expect(refused).toEqual(['a5', 'a4', 'a3', 'b3'])
})

it('estimates the wait from the durations of the call’s own share', async () => {
  const queue = fairQueue(2, { waiting: 1_000, waitMsMax: 100, runningPerShare: 1 })
  await queue('slow', work(60))
  await queue('quick', work(1))
  const of = (share: string) => Array.from({ length: 10 }, () => queue(share, work(1)))
  const [slow, quick] = await Promise.all([outcomes(of('slow')), outcomes(of('quick'))])
  expect(slow).toContain('rejected')
  expect(quick).toEqual(Array<string>(10).fill('done'))
})
