// Benchmarks the daily revalidation: its memory, and its speed relative to a bare pipelined rewrite of the same keys.
// Also kills runs at random moments, and checks that a further run repairs all entries.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { openRedisCache } from '../src/connection/cache/redis-cache.ts'
import { openPostgres } from '../src/connection/postgres/postgres.ts'
import { openLogger } from '../src/platform/logger.ts'

const batch = 1_000
const pipelinesMax = 4
const killedRuns = 10
const ttlMs = 3_600_000
// A user with two contacts.
const body = `{"filler":"${'x'.repeat(400)}"}`

type Run = { seconds: number; residentMegabytes: number; line: Record<string, number> | undefined }

/** Fills the cache with an entry for each user, all of version 1. */
export async function benchRefresh(
  env: Record<string, string> & { DATABASE_URL: string; REDIS_URL: string },
  rounds: number,
): Promise<void> {
  const client = new pg.Client({ connectionString: env.DATABASE_URL })
  await client.connect()
  const { rows } = await client.query<{ id: string }>('SELECT id FROM users WHERE version = 1')
  await client.end()
  const ids = rows.map(({ id }) => id)
  const redis = new Redis(env.REDIS_URL)
  try {
    await redis.flushdb()
    const prefix = await keyPrefix(env, redis, ids[0] ?? '')
    const rewrite = (versionOf: (at: number) => number) => fill(redis, { prefix, ids, versionOf })
    await rewrite(() => 1)
    for (const [name, version] of [
      ['nothing drifted', 1],
      ['everything drifted', 7],
    ] as const) {
      const measured: { ratio: number; run: Run }[] = []
      for (let round = 0; round < rounds; round++) {
        const floorSeconds = await rewrite(() => version)
        const run = await refresh(env)
        const { Repaired = -1, Scanned = -1 } = run.line ?? {}
        if (Scanned < ids.length || Repaired !== (version === 1 ? 0 : ids.length))
          throw new Error(`unexpected result: ${JSON.stringify(run.line)}`)
        measured.push({ ratio: floorSeconds / run.seconds, run })
      }
      measured.sort((a, b) => a.ratio - b.ratio)
      const middle = measured[Math.floor(measured.length / 2)]
      process.stdout.write(
        `revalidation of ${ids.length} entries, ${name}: ${Math.round(ids.length / (middle?.run.seconds ?? 0))}/s, ` +
          `${middle?.ratio.toFixed(2)} of a bare pipelined rewrite (${measured.map(({ ratio }) => ratio.toFixed(2)).join(', ')}), ` +
          `resident memory ${Math.max(...measured.map(({ run }) => run.residentMegabytes)).toFixed(0)} MB\n`,
      )
    }

    await rewrite((at) => (at % 10 === 0 ? 7 : 1))
    const alone = await refresh(env)
    await rewrite((at) => (at % 10 === 0 ? 7 : 1))
    let killed = 0
    for (; killed < killedRuns; killed++)
      await refresh(env, Math.random() * alone.seconds * 1_000 + alone.startMs)
    await refresh(env)
    let left = 0
    for (let at = 0; at < ids.length; at += batch) {
      const keys = ids.slice(at, at + batch).map((id) => prefix + id)
      const entries = await redis.mget(keys)
      left += entries.filter((entry) => entry?.startsWith('7\n')).length
    }
    process.stdout.write(
      `killed ${killed} times at random moments, then finished: ${left} drifted entries left\n`,
    )
    if (left > 0) process.exitCode = 1
  } finally {
    redis.disconnect()
  }
}

/** @returns the cache's key prefix, taken from a key that the cache writes */
async function keyPrefix(
  env: { DATABASE_URL: string; REDIS_URL: string },
  redis: Redis,
  id: string,
): Promise<string> {
  const logger = openLogger('warn')
  const db = openPostgres(env.DATABASE_URL, logger)
  const cache = openRedisCache(env.REDIS_URL, { db, logger })
  await cache.check()
  await cache.read(id)
  const [key] = await redis.keys(`*${id}`)
  await cache.close()
  await db.close()
  return String(key).slice(0, -id.length)
}

/** @returns the time in seconds */
async function fill(
  redis: Redis,
  { prefix, ids, versionOf }: { prefix: string; ids: string[]; versionOf: (at: number) => number },
): Promise<number> {
  const startedAt = performance.now()
  const pipelines: Promise<unknown>[] = []
  for (let from = 0; from < ids.length; from += batch) {
    const part = ids.slice(from, from + batch)
    const pipeline = redis.pipeline()
    for (const [at, id] of part.entries())
      pipeline.set(prefix + id, `${versionOf(from + at)}\n${body}`, 'PX', ttlMs)
    pipelines.push(pipeline.exec())
    if (pipelines.length >= pipelinesMax) await pipelines.shift()
  }
  await Promise.all(pipelines)
  return (performance.now() - startedAt) / 1_000
}

/** Runs `npm run refresh` as a process, and kills it after `killMs` if given. */
async function refresh(env: Record<string, string>, killMs?: number): Promise<Run & { startMs: number }> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [resolve('src/cli/refresh.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  let residentMegabytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
  })
  const exit = once(child, 'exit')
  let isOver = false
  const watch = (async () => {
    while (!isOver) {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
      residentMegabytes = Math.max(residentMegabytes, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
      if (killMs !== undefined && performance.now() - startedAt > killMs) child.kill('SIGKILL')
      await delay(10)
    }
  })()
  const [code] = (await exit) as [number | null]
  isOver = true
  await watch
  if (code !== 0 && killMs === undefined) throw new Error(`the refresh failed with ${code}: ${output}`)
  const text = output.split('\n').find((line) => line.includes('"Scanned"'))
  const line = text === undefined ? undefined : (JSON.parse(text) as Record<string, number>)
  const seconds = (line?.Duration ?? Number.NaN) / 1_000
  return { seconds, residentMegabytes, line, startMs: performance.now() - startedAt - seconds * 1_000 }
}
