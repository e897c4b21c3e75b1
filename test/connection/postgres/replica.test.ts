// Lists from a read replica, whose lag is bounded: docs/adr/0032-read-replicas-for-lists.md.
import pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Queries } from '../../../src/connection/postgres/database.ts'
import { migrate } from '../../../src/connection/postgres/migrations.ts'
import { openMetrics } from '../../../src/handler/node/metrics.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freePort } from '../../support/port.ts'
import { type Answer, type Service, startService, useEntry } from '../../support/service.ts'
import { startStandby } from '../../support/standby.ts'
import { until } from '../../support/wait.ts'

const { primaryUrl, standby } = await startStandby()
const service = await startWith(standby.url)
const { call, makeUser, connections, log } = service

function startWith(readUrl: string, databaseUrl = primaryUrl): Promise<Service> {
  return startService({ databaseUrl, env: { DATABASE_URL: databaseUrl, DATABASE_READ_URL: readUrl } })
}

type Page = Answer<{ items: { id: string; name: string | null }[] }>

/** @param maxStale the header's directive; undefined sends none */
function list(maxStale?: string, { call }: Service = service, query = ''): Promise<Page> {
  const headers: Record<string, string> = maxStale === undefined ? {} : { 'cache-control': maxStale }
  return call('GET', `/user?sort=-created_at${query}`, { headers })
}

/** Undefined if the primary answered. */
function age({ status, headers }: Page): number | undefined {
  expect(status).toBe(200)
  const text = headers.get('age')
  if (text !== null) expect(text).toMatch(/^\d+$/)
  return text === null ? undefined : Number(text)
}

/** Asks again, because on a busy machine the replica may seem to hang for a moment. */
const listFromReplica = (maxStale: string) =>
  until('the replica to answer', async () => {
    const page = await list(maxStale)
    return age(page) === undefined ? undefined : page
  })
const isFromReplica = async (maxStale = 'max-stale', from = service) =>
  age(await list(maxStale, from)) !== undefined
const inUse = () => listFromReplica('max-stale=2')

async function onStandby(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: standby.url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

const linesOf = (from: { message: string; level: string }[]) =>
  from.filter(({ message }) => message.includes('replica')).map(({ level, message }) => `${level} ${message}`)
const metrics = openMetrics(connections, { readsDatabase: false, hasReplica: true })

/** @param series a name with labels, after the prefix; undefined if it is absent */
async function metric(series: string): Promise<number | undefined> {
  const line = (await metrics.text()).split('\n').find((line) => line.startsWith(`user_directory_${series} `))
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')))
}

const unavailable = 'warn read replica unavailable; the primary answers'
const lags = 'warn read replica lags, or follows another database; the primary answers'
const again = 'info read replica in use again'

beforeAll(async () => {
  await makeUser()
  await inUse()
})

it('metrics count which server answered', async () => {
  const counts = async () => [
    await metric('stale_reads_total{server="replica"}'),
    await metric('stale_reads_total{server="primary"}'),
  ]
  const [replica = 0] = await counts()
  await listFromReplica('max-stale')
  const before = await counts()
  expect(before[0]).toBe(replica + 1)
  await list()
  expect(await counts()).toEqual(before)
})

describe('a list', () => {
  it('comes from the primary without max-stale, and from the replica with it, with its age', async () => {
    const user = await makeUser()
    const plain = await list()
    expect([age(plain), plain.body.items[0]?.id]).toEqual([undefined, user.id])
    for (const [header, most] of [
      ['max-stale=2', 2],
      ['max-stale', 60],
      ['max-stale="2"', 2],
      ['no-store, Max-Stale=99999999999999', 60],
    ] as const) {
      const seconds = age(await listFromReplica(header))
      expect(seconds).toBeGreaterThanOrEqual(1)
      expect(seconds).toBeLessThanOrEqual(most)
    }
    const copied = () => list('max-stale=2').then(({ body }) => body.items[0]?.id === user.id)
    await until('the replica to have the user', copied)
  })

  it('comes from the primary if the caller accepts no stale data', async () => {
    for (const header of ['max-stale=0', 'no-cache, max-stale', 'max-age=0', 'max-stale=x'])
      expect(age(await list(header))).toBeUndefined()
  })

  it('has the same faults from both', async () => {
    for (const header of [undefined, 'max-stale'])
      expect((await list(header, service, '&cursor=x')).status).toBe(400)
  })
})

it('a lagging replica answers only callers who accept its lag, and never reads of single users', async () => {
  log.length = 0
  await onStandby('SELECT pg_wal_replay_pause()')
  const user = await makeUser()
  await until('the replica to lag too far', async () => !(await isFromReplica('max-stale=2')))
  const fresh = await list('max-stale=2')
  expect(fresh.body.items[0]?.id).toBe(user.id)
  const stale = await listFromReplica('max-stale')
  expect(age(stale)).toBeGreaterThanOrEqual(3)
  expect(stale.body.items.map(({ id }) => id)).not.toContain(user.id)

  const headers = { 'cache-control': 'max-stale' }
  for (const name of ['one', 'two']) {
    expect((await call('PATCH', `/user/${user.id}`, { headers, json: { name } })).body.name).toBe(name)
    const single = await call('GET', `/user/${user.id}`, { headers })
    expect([single.body.name, single.headers.get('age')]).toEqual([name, null])
  }
  const blocked = await service.issuer.token({ username: user.username, 'cognito:groups': ['readers'] })
  await call('PATCH', `/user/${user.id}`, { json: { status: 'BLOCKED' } })
  await until('the block to be seen', async () => {
    const answer = await call('GET', '/user', { headers, token: blocked })
    return answer.status === 401
  })

  await until('the log to say so', () => linesOf(log).length > 0 || list('max-stale').then(() => false))
  expect(await metric('replica_lag_seconds')).toBeGreaterThan(5)
  await onStandby('SELECT pg_wal_replay_resume()')
  await inUse()
  expect(linesOf(log)).toEqual([lags, again])
  expect(await metric('replica_lag_seconds')).toBeLessThan(2)
})

it('no list is older than its age says, however late the replica applies changes', async () => {
  await onStandby(`ALTER SYSTEM SET recovery_min_apply_delay = '1200ms'`)
  await onStandby('SELECT pg_reload_conf()')
  const { id } = await makeUser({ name: '0' })
  /** When the answer to each write arrived. */
  const acknowledgedAt: number[] = []
  let checked = 0
  const write = async () => {
    while (checked < 30) {
      await call('PATCH', `/user/${id}`, { json: { name: `${acknowledgedAt.length}` } })
      acknowledgedAt.push(performance.now())
    }
  }
  const check = async () => {
    const sentAt = performance.now()
    const page = await list('max-stale=3', service, `&ids=${id}`)
    const seconds = age(page)
    const [user] = page.body.items
    if (seconds === undefined || !user) return
    const known = acknowledgedAt.filter((at) => at < sentAt - seconds * 1_000).length
    expect(Number(user.name)).toBeGreaterThanOrEqual(known - 1)
    if (known > 1) checked++
  }
  const enough = async () => {
    await check()
    return checked >= 30
  }
  await Promise.all([write(), until('enough lists of the replica', enough, 30_000)])
  await onStandby('ALTER SYSTEM RESET recovery_min_apply_delay')
  await onStandby('SELECT pg_reload_conf()')
  await inUse()
})

it('a replica that hangs delays a few lists by less than a second, and is used again afterwards', async () => {
  log.length = 0
  await standby.freeze()
  const startedAt = performance.now()
  const first = await Promise.all(Array.from({ length: 20 }, () => list('max-stale')))
  expect(first.map(age)).toEqual(Array(20).fill(undefined))
  expect(performance.now() - startedAt).toBeLessThan(2_000)
  expect(await metric('replica_lag_seconds')).toBeUndefined()
  const nextAt = performance.now()
  expect(age(await list('max-stale'))).toBeUndefined()
  expect(performance.now() - nextAt).toBeLessThan(1_000)
  const closing = await startWith(standby.url)
  expect(await isFromReplica('max-stale', closing)).toBe(false)
  const closeAt = performance.now()
  await closing.close()
  expect(performance.now() - closeAt).toBeLessThan(3_000)
  await standby.thaw()
  await inUse()
  expect(linesOf(log).filter((line) => line !== lags)).toEqual([unavailable, again])
})

it('a replica that is killed and comes back is used again', async () => {
  log.length = 0
  await standby.kill()
  expect(age(await list('max-stale'))).toBeUndefined()
  expect((await call('GET', '/ready')).status).toBe(200)
  await standby.start()
  await inUse()
  // A slow start leaves it behind at first.
  expect(linesOf(log).filter((line) => line !== lags)).toEqual([unavailable, again])
})

it('a function uses the replica by heartbeats that it sends with the lists', async () => {
  useEntry('rest')
  const lambda = await startWith(standby.url).finally(() => useEntry('node'))
  expect(age(await list(undefined, lambda))).toBeUndefined()
  await until('the replica to answer', () => isFromReplica('max-stale=2', lambda))
})

describe('statements', () => {
  const sleep = (share: string, seconds: number) =>
    connections.db.of(share).readStale(60, (queries: Queries) => {
      return queries.unprepared('SELECT pg_sleep($1), pg_is_in_recovery() AS "isReplica"', [seconds])
    })
  const isReplica = async (share: string, seconds: number) => {
    const { value, ageSeconds } = await sleep(share, seconds)
    expect(value[0]?.isReplica).toBe(ageSeconds !== undefined)
    return value[0]?.isReplica
  }

  it('that take too long on the replica run on the primary', async () => {
    expect(await isReplica('slow', 0.9)).toBe(false)
    await until('the replica to answer again', () => isReplica('slow', 0))
  })

  it('of one caller leave connections of the replica to the others', async () => {
    let isOver = false
    const attack = Promise.allSettled(Array.from({ length: 30 }, () => sleep('attacker', 0.5))).then(() => {
      isOver = true
    })
    for (let n = 0; n < 10; n++) await until('the replica to answer', () => isReplica('other', 0))
    expect(isOver).toBe(false)
    await attack
  })

  it('that fail on the replica run on the primary', async () => {
    const { value, ageSeconds } = await connections.db.readStale(60, (queries) =>
      queries.unprepared('SELECT txid_current()', []),
    )
    expect([value.length, ageSeconds]).toEqual([1, undefined])
  })
})

describe('the primary answers', () => {
  it('if DATABASE_READ_URL leads to no server; start and readiness do not depend on it', async () => {
    const alone = await startWith(`postgres://127.0.0.1:${await freePort()}/directory`)
    for (let n = 0; n < 3; n++) expect(await isFromReplica('max-stale', alone)).toBe(false)
    expect((await alone.call('GET', '/ready')).status).toBe(200)
    expect(linesOf(alone.log)).toEqual([unavailable])
  })

  it('if DATABASE_READ_URL leads to the primary', async () => {
    const same = await startWith(primaryUrl)
    for (let n = 0; n < 3; n++) expect(await isFromReplica('max-stale', same)).toBe(false)
    expect(linesOf(same.log)).toEqual([unavailable])
  })

  it('if DATABASE_READ_URL leads to another database, with or without the tables', async () => {
    const admin = new pg.Client({ connectionString: primaryUrl })
    await admin.connect()
    atEnd(() => admin.end())
    await admin.query('CREATE DATABASE other')
    const other = (url: string, pathname: string) => Object.assign(new URL(url), { pathname }).href
    await migrate(other(primaryUrl, '/other'))
    const wrong = await startWith(other(standby.url, '/other'))
    const empty = await startWith(other(standby.url, '/postgres'))
    await until('both to say so', async () => {
      expect(await isFromReplica('max-stale', wrong)).toBe(false)
      expect(await isFromReplica('max-stale', empty)).toBe(false)
      return linesOf(wrong.log).includes(lags) && linesOf(empty.log).length > 0
    })
    expect(linesOf(empty.log)).toEqual([unavailable])
  })

  it('once the replica has been promoted', async () => {
    await inUse()
    log.length = 0
    await onStandby('SELECT pg_promote()')
    await onStandby('DELETE FROM contacts; DELETE FROM users')
    for (let n = 0; n < 3; n++) {
      const page = await list('max-stale')
      expect([age(page), page.body.items.length > 0]).toEqual([undefined, true])
    }
    expect(linesOf(log)).toEqual([unavailable])
  })
})
