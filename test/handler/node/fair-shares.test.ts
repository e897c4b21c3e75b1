// Fair shares: one busy caller leaves resources to the others.
import { Socket } from 'node:net'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { serviceShare } from '../../../src/connection/postgres/database.ts'
import { openLoadShedding } from '../../../src/handler/node/load-shedding.ts'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

describe('database connections', () => {
  it('a caller whose writes wait for one row leaves connections to others', async () => {
    const databaseUrl = await freshDatabase()
    const { call, makeUser, issuer, tokens } = await startService({ databaseUrl })
    const [hot, own] = [await makeUser(), await makeUser()]
    const attacker = await issuer.token({ username: uniqueName(), 'cognito:groups': ['admins'] })
    const connect = async () => {
      const client = new pg.Client({ connectionString: databaseUrl })
      await client.connect()
      atEnd(() => client.end())
      return client
    }
    const [holder, watcher] = [await connect(), await connect()]
    await holder.query('BEGIN')
    await holder.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [hot.id])

    let isOver = false
    const attack = Promise.all(
      Array.from({ length: 50 }, async () => {
        while (!isOver) {
          const answer = await call('PATCH', `/user/${hot.id}`, {
            token: attacker,
            json: { name: 'x' },
            isLast: true,
          })
          expect(answer.status).toBeOneOf([200, 429, 503])
        }
      }),
    )
    const waiting = async () => {
      const { rowCount } = await watcher.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      )
      return rowCount ?? 0
    }
    await until('the writes to wait for the row', async () => (await waiting()) === 3)
    // Each needs a connection, and must get it before a statement of the other caller times out.
    const others = [
      tokens.admin,
      await issuer.token({ username: uniqueName(), 'cognito:groups': ['admins'] }),
    ]
    for (const token of others) {
      const ask = (method: string, path: string, json?: object) =>
        call(method, path, { token, isLast: true, ...(json && { json }) })
      expect((await ask('PATCH', `/user/${own.id}`, { name: 'y' })).status).toBe(200)
      expect((await ask('GET', `/user/${own.id}`)).status).toBe(200)
      expect((await ask('GET', '/user?count=exact')).status).toBe(200)
      expect((await ask('GET', '/ready')).status).toBe(200)
      expect(await waiting()).toBeLessThanOrEqual(3)
    }
    isOver = true
    await holder.query('COMMIT')
    await attack
  })

  it('a caller with slow statements leaves connections to others', async () => {
    const { connections, call } = await startService()
    const { db } = connections
    const sleep = () => db.of('attacker').query((queries) => queries.unprepared('SELECT pg_sleep(1)', []))
    let isOver = false
    const attack = Promise.allSettled(Array.from({ length: 50 }, sleep)).then(() => {
      isOver = true
    })
    for (let n = 0; n < 10; n++) expect((await call('GET', '/user?count=exact')).status).toBe(200)
    expect(isOver).toBe(false)
    await attack
  })

  it('a caller has three on this machine while it is alone, and one while others are active', async () => {
    const databaseUrl = await freshDatabase()
    const { connections } = await startService({ databaseUrl })
    const { db } = connections
    const watcher = new pg.Client({ connectionString: databaseUrl })
    await watcher.connect()
    atEnd(() => watcher.end())
    const sleeping = async () => {
      const { rowCount } = await watcher.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`,
      )
      return rowCount ?? 0
    }
    const sleep = (share: string, seconds: number) =>
      db.of(share).query((queries) => queries.unprepared('SELECT pg_sleep($1)', [seconds]))
    const alone = Array.from({ length: 3 }, () => sleep('attacker', 1))
    await until('three to run', async () => (await sleeping()) === 3)
    await Promise.all(alone)

    let isOver = false
    let most = 0
    const others = (async () => {
      while (!isOver) {
        db.noteCaller('attacker')
        db.noteCaller('other')
        most = Math.max(most, await sleeping())
      }
    })()
    await Promise.all(Array.from({ length: 2 }, () => sleep('attacker', 0.3)))
    expect(most).toBe(1)
    // The service's own work is no caller.
    await Promise.all(Array.from({ length: 2 }, () => sleep(serviceShare, 0.3)))
    isOver = true
    await others
    expect(most).toBe(2)
  })
})

describe('the event loop', () => {
  type Arrival = { connection: Socket; caller: string }
  /** Load shedding in an overload; `arrive` passes it one request of each named caller. */
  async function overloaded() {
    const served: string[] = []
    const refused: string[] = []
    const answers: (() => void)[] = []
    const shedding = openLoadShedding<Arrival>({
      logger: silent,
      callerOf: ({ caller }) => caller,
      serve: ({ caller }) => {
        served.push(caller)
        return new Promise((answered) => answers.push(answered))
      },
      reject: ({ caller }) => refused.push(caller),
    })
    atEnd(async () => shedding.close())
    const arrive = (callers: string[], connection = new Socket()) => {
      for (const caller of callers) shedding.decide({ connection, caller })
    }
    const answerAll = () => {
      for (const answer of answers.splice(0)) answer()
    }
    await until('an overload', () => {
      for (const end = performance.now() + 150; performance.now() < end; );
      served.length = 0
      arrive(['only'])
      return served.length === 0
    })
    await turn()
    answerAll()
    served.length = 0
    return { served, refused, arrive, answerAll }
  }
  const turn = () => new Promise((next) => setImmediate(next))
  const crowd = (caller: string, count: number) => Array<string>(count).fill(caller)
  const of = (caller: string, callers: string[]) => callers.filter((each) => each === caller).length

  it('gives callers equal shares in an overload: hundreds of requests of one do not delay others', async () => {
    const { served, refused, arrive, answerAll } = await overloaded()
    arrive(['other', ...crowd('attacker', 200), 'other', 'third', 'other', 'other'])
    await turn()
    expect([of('other', served), of('third', served), of('attacker', served)]).toEqual([4, 1, 4])
    expect([of('other', refused), of('third', refused)]).toEqual([0, 0])
    expect(of('attacker', refused)).toBe(200 - 55)
    // Requests in flight count, so the attacker's next request waits until one is answered.
    arrive(['third'])
    await turn()
    expect([of('third', served), of('attacker', served)]).toEqual([2, 4])
    answerAll()
    await until('the next to be served', () => of('attacker', served) === 8)
  })

  it('serves a single caller at full speed, and in the end all that wait', async () => {
    const { served, refused, arrive } = await overloaded()
    arrive(crowd('only', 120))
    await turn()
    expect(served).toHaveLength(50)
    await until('all to be served', () => served.length === 60)
    expect(refused).toHaveLength(60)
  })

  it('skips a request whose client disconnected while it waited', async () => {
    const { served, arrive } = await overloaded()
    const connection = new Socket()
    arrive(['gone'], connection)
    arrive(['other'])
    connection.destroy()
    await turn()
    expect(served).toEqual(['other'])
  })
})
