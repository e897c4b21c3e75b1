// A short run of `npm run torture`: real servers, PostgreSQL and Redis are killed, paused and disconnected while clients
// read and write. A judge checks every response.
import { Redis } from 'ioredis'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { atEnd } from '../../support/cleanup.ts'
import { copyCluster } from '../../support/cluster-copy.ts'
import { createJudge, isKept } from '../../support/judge.ts'
import { boundMs, type Fault, faults, startTorture, type Torture } from '../../support/torture.ts'
import { until } from '../../support/wait.ts'

/** Waits until so much more has been written, and read from the cache. */
async function more({ judge: { ruling } }: Torture, writes: number, hits: number): Promise<void> {
  const goal = { writes: ruling.writes + writes, hits: ruling.hits + hits }
  await until('the clients to get on', () => ruling.writes >= goal.writes && ruling.hits >= goal.hits, 60_000)
}

it('nothing is stale, lost or wrong while each part fails in turn, and the service recovers', async () => {
  const torture = await startTorture({ processes: 2, users: 30, copyCluster, pauseMs: 50 }, atEnd)
  const { ruling, complaints } = torture.judge
  // Many writers and readers of few users, while nothing fails. A busy machine may reject requests, or delay calls to Redis.
  await more(torture, 500, 500)
  await expect.poll(() => complaints, { timeout: 5_000 }).toEqual([])
  expect(ruling.broken).toBe(0)
  for (const fault of faults) {
    await torture.inflict(fault)
    // Both are used again: that is the recovery.
    await more(torture, 50, 50)
  }
  await torture.finish()
  expect(complaints).toEqual([])
  expect(isKept(ruling)).toBe(true)
}, 300_000)

describe('the judge', () => {
  it('detects an old entry put into the cache, and a write that is undone', async () => {
    const torture = await startTorture({ processes: 1, users: 12, copyCluster, pauseMs: 20 }, atEnd)
    const { judge } = torture
    await more(torture, 10, 10)
    const forge: Fault = {
      what: 'old entries are put into the cache',
      isTrouble: false,
      inflict: async ({ redisUrl }) => {
        const redis = new Redis(redisUrl)
        onTestFinished(() => redis.disconnect())
        const key = await until('an entry', async () => (await redis.keys('*:user:*'))[0])
        await until('the judge to see it', async () => {
          await redis.set(key, `1\n{"version":1,"name":null}`)
          return judge.ruling.stale > 0
        })
        await redis.del(key)
      },
    }
    await torture.inflict(forge)
    expect(judge.ruling.late).toBe(0)

    const undo: Fault = {
      what: 'a write is undone',
      isTrouble: false,
      inflict: async ({ databaseUrl }) => {
        const client = new pg.Client({ connectionString: databaseUrl })
        await client.connect()
        onTestFinished(() => client.end())
        await client.query('UPDATE users SET version = version - 1 WHERE version > 1')
      },
    }
    await torture.inflict(undo)
    await torture.finish()
    expect(judge.ruling.lost).toBeGreaterThan(0)
    expect(isKept(judge.ruling)).toBe(false)
  }, 180_000)

  const id = 'someone'
  const read = (version: number, name: string | null = null) => ({
    status: 200,
    version,
    name,
    isHit: true,
  })
  const gone = { status: 404, isHit: false }
  /** A judge with a hand on its clock, who knows of one user. */
  const appoint = () => {
    let now = 1_000
    const judge = createJudge(boundMs, () => now)
    judge.add(id, 1)
    const pass = (ms: number): void => {
      now += ms
    }
    return { judge, pass }
  }

  it('allows a read as old as the last write acknowledged before it was sent, and no older', () => {
    const { judge, pass } = appoint()
    const before = judge.read(id)
    judge.rename(id, 'b')({ status: 200, version: 2, name: 'b' })
    pass(1)
    before(read(1))
    expect(judge.ruling).toMatchObject({ reads: 1, stale: 0 })
    judge.read(id)(read(1))
    expect(judge.ruling).toMatchObject({ reads: 2, stale: 1, late: 0 })
  })

  it('tolerates a read that missed a write when its server reports later that it could not reach the cache', () => {
    const { judge, pass } = appoint()
    const write = () => judge.rename(id, 'b')({ status: 200, version: 2, name: 'b' })
    pass(10)
    write()
    pass(5)
    judge.read(id)(read(1))
    expect(judge.ruling).toMatchObject({ late: 0, stale: 1 })
    judge.trouble(1_011)
    expect(judge.complaints).toHaveLength(1)
    judge.trouble(1_010)
    expect(judge.ruling).toMatchObject({ late: 1, stale: 0 })
    expect(judge.complaints).toEqual([])
  })

  it('tolerates a late read only for writes during a fault, and only within the bound', () => {
    const { judge, pass } = appoint()
    const over = judge.trouble()
    judge.rename(id, 'b')({ status: 200, version: 2, name: 'b' })
    pass(boundMs - 1)
    judge.read(id)(read(1))
    expect(judge.ruling).toMatchObject({ late: 1, stale: 0 })
    pass(2)
    judge.read(id)(read(1))
    expect(judge.ruling).toMatchObject({ late: 1, stale: 1 })
    over()
    pass(boundMs + 1)
    judge.rename(id, 'c')({ status: 200, version: 3, name: 'c' })
    pass(1)
    judge.read(id)(read(2, 'b'))
    expect(judge.ruling).toMatchObject({ late: 1, stale: 2 })
  })

  it('expects an erased user to be missing from the acknowledgement on, and no other', () => {
    const { judge, pass } = appoint()
    judge.read(id)(gone)
    expect(judge.ruling).toMatchObject({ wrong: 1 })
    const erased = judge.erase(id)
    judge.read(id)(gone)
    judge.read(id)(read(1))
    expect(judge.ruling).toMatchObject({ wrong: 1, stale: 0 })
    erased({ status: 204 })
    pass(1)
    judge.read(id)(read(1))
    expect(judge.ruling).toMatchObject({ wrong: 1, stale: 1 })
    judge.final(id, gone)
    expect(judge.ruling.lost).toBe(0)
    judge.final(id, { status: 200, version: 1 })
    expect(judge.ruling.lost).toBe(1)
  })

  it('detects mixed versions, and writes that are missing at the end', () => {
    const { judge } = appoint()
    judge.rename(id, 'b')({ status: 200, version: 2, name: 'b' })
    judge.read(id)(read(2, 'a'))
    judge.rename(id, 'c')({ status: 200, version: 2, name: 'x' })
    expect(judge.ruling.wrong).toBe(2)
    // Two changes and one version more.
    judge.final(id, { status: 200, version: 2, name: 'c' })
    expect(judge.ruling.lost).toBe(1)
  })

  it('counts every error status but 429 and 503 as a failure', () => {
    const { judge } = appoint()
    judge.read(id)({ status: 503, isHit: false })
    judge.read(id)(undefined)
    expect([judge.ruling.rejected, judge.ruling.broken, isKept(judge.ruling)]).toEqual([1, 1, true])
    judge.rename(id, 'b')({ status: 500 })
    expect([judge.ruling.otherStatuses, isKept(judge.ruling)]).toEqual([1, false])
  })
})
