// The attempt throttle follows the same rules in the process and in Redis.
import { describe, expect, inject, it } from 'vitest'
import {
  type AttemptThrottle,
  openProcessAttemptThrottle,
} from '../../../src/connection/attempts/attempt-throttle.ts'
import { openRedisAttemptThrottle } from '../../../src/connection/attempts/redis-attempt-throttle.ts'
import { slotOf } from '../../../src/connection/redis/slots.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freePort } from '../../support/port.ts'
import { startRedis } from '../../support/redis.ts'
import { startRedisCluster } from '../../support/redis-cluster.ts'
import { uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const cluster = await startRedisCluster()
atEnd(cluster.close)

const warnings: string[] = []
const logger = {
  debug: () => {},
  info: () => {},
  warn: (message: string) => void warnings.push(message),
  error: () => {},
}
const closing = (attempts: AttemptThrottle): AttemptThrottle => {
  atEnd(async () => attempts.close())
  return attempts
}
const bucket = () => ({ name: uniqueName('bucket'), burst: 3, pauseMsMin: 10_000, pauseMsMax: 40_000 })

describe.each([
  ['in the process', () => openProcessAttemptThrottle()],
  ['in Redis', () => openRedisAttemptThrottle(inject('redisUrl'), logger)],
  ['in a cluster', () => openRedisAttemptThrottle(cluster.url, logger)],
])('%s', (_, open) => {
  const attempts = closing(open())

  it('the burst need not wait, then each attempt waits for a pause that doubles up to the maximum', async () => {
    const one = bucket()
    const waits: (number | undefined)[] = []
    for (let turn = 0; turn < 8; turn++) waits.push(await attempts.reserve(one, 1_000_000))
    const about = [0, 0, 0, 0, 10_000, 30_000, 70_000, 110_000]
    for (const [at, wait] of waits.entries()) {
      expect(wait).toBeLessThanOrEqual(about[at] as number)
      expect(wait).toBeGreaterThan((about[at] as number) - 5_000)
    }
  })

  it('an attempt that would wait too long is rejected and not counted', async () => {
    const one = bucket()
    for (let turn = 0; turn < 4; turn++) expect(await attempts.reserve(one, 0)).toBe(0)
    for (let turn = 0; turn < 100; turn++) expect(await attempts.reserve(one, 0)).toBeUndefined()
    expect(await attempts.reserve(one, 10_000)).toBeGreaterThan(5_000)
  })

  it('counts a thousand concurrent attempts', async () => {
    const one = bucket()
    const waits = await Promise.all(Array.from({ length: 1_000 }, () => attempts.reserve(one, 0)))
    expect(waits.filter((wait) => wait === 0)).toHaveLength(4)
  })

  it('successful attempts do not count', async () => {
    const one = bucket()
    for (let turn = 0; turn < 20; turn++) {
      expect(await attempts.reserve(one, 0)).toBe(0)
      await attempts.succeeded(one)
    }
    await attempts.succeeded(bucket())
  })

  it('buckets and remembered keys are independent of each other', async () => {
    const [one, other] = [bucket(), bucket()]
    while ((await attempts.reserve(one, 0)) !== undefined);
    expect(await attempts.reserve(other, 0)).toBe(0)
    await attempts.remember(one.name)
    expect(await attempts.isRemembered(one.name)).toBe(true)
    expect(await attempts.isRemembered(other.name)).toBe(false)
  })
})

it('in Redis all processes share their counts', async () => {
  const [first, second] = [1, 2].map(() => closing(openRedisAttemptThrottle(inject('redisUrl'), logger)))
  if (!first || !second) throw new Error('there are two')
  const one = bucket()
  await first.reserve(one, 0)
  await second.reserve(one, 0)
  await first.reserve(one, 0)
  await second.reserve(one, 0)
  expect(await first.reserve(one, 0)).toBeUndefined()
  await first.remember(one.name)
  expect(await second.isRemembered(one.name)).toBe(true)
})

it('in a cluster it follows a bucket that is being moved', async () => {
  const attempts = closing(openRedisAttemptThrottle(cluster.url, logger))
  const [first, second] = cluster.nodes
  if (!first || !second) throw new Error('there are three')
  const one = bucket()
  await attempts.reserve(one, 0)
  const slot = slotOf(`user-directory:attempts:1:bucket:${one.name}`)
  const from = await until('its owner', async () => {
    for (const node of cluster.nodes) if ((await cluster.slotsOf(node)).includes(slot)) return node
    return undefined
  })
  const to = from === first ? second : first
  const cancel = await cluster.startMove([slot], from, to)
  await attempts.reserve(one, 0)
  await cancel()
  await attempts.reserve(one, 0)
  await cluster.move([slot], from, to)
  await attempts.reserve(one, 0)
  expect(await attempts.reserve(one, 0)).toBeUndefined()
  expect(warnings).toEqual([])
})

it('during an outage of Redis each process counts on its own', async () => {
  const port = await freePort()
  const attempts = closing(openRedisAttemptThrottle(`redis://127.0.0.1:${port}`, logger))
  const one = bucket()
  for (let turn = 0; turn < 4; turn++) expect(await attempts.reserve(one, 0)).toBe(0)
  expect(await attempts.reserve(one, 0)).toBeUndefined()
  expect(warnings).toEqual(['Redis unavailable; each process throttles sign-in attempts on its own'])

  const redis = await startRedis({ port })
  atEnd(redis.kill)
  await until('Redis to count', async () => (await attempts.reserve(one, 0)) !== undefined)
})
