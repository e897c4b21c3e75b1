// One caller at full strength, and what is left to the others.
import { Socket } from 'node:net'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { openAdmission } from '../src/handler/admission.ts'
import type { HttpRequest } from '../src/handler/endpoint.ts'
import { atEnd } from './support/cleanup.ts'
import { freshDatabase } from './support/database.ts'
import { startService, uniqueName } from './support/service.ts'
import { until } from './support/wait.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

describe('database connections', () => {
  it('one caller whose writes wait for one row leaves connections to the others', async () => {
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
    // Each of these needs a connection, for which it must not have to wait until a statement times out.
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

  it('one caller with slow statements leaves connections to the others', async () => {
    const { connections, call } = await startService()
    const { db } = connections
    const sleep = () => db.of('attacker').query((queries) => queries.planned('SELECT pg_sleep(1)', []))
    let isOver = false
    const attack = Promise.allSettled(Array.from({ length: 50 }, sleep)).then(() => {
      isOver = true
    })
    for (let n = 0; n < 10; n++) expect((await call('GET', '/user?count=exact')).status).toBe(200)
    expect(isOver).toBe(false)
    await attack
  })
})

describe('the event loop', () => {
  it('in an overload, one caller on hundreds of connections is refused, and the requests of others are taken', async () => {
    const requestOf = (caller: string): HttpRequest => ({
      method: 'GET',
      path: caller,
      query: '',
      header: () => undefined,
      body: async () => undefined,
    })
    const admission = openAdmission(silent, ({ path }) => path)
    atEnd(async () => admission.close())
    const turn = (callers: string[]) =>
      callers.map((caller) => [caller, admission.judge(new Socket(), requestOf(caller))] as const)
    const taken = (caller: string, verdicts: ReturnType<typeof turn>) =>
      verdicts.filter(([of, verdict]) => of === caller && verdict === 'answer').length

    // The loop has no rest until it notices.
    await until('an overload', () => {
      for (const end = performance.now() + 150; performance.now() < end; );
      return turn(Array<string>(60).fill('first')).some(([, verdict]) => verdict === 'refuse')
    })
    await new Promise((nextTurn) => setImmediate(nextTurn))
    const crowd = Array<string>(200).fill('attacker')
    const verdicts = turn(['other', ...crowd, 'other', 'third', 'other', 'other'])
    expect([taken('other', verdicts), taken('third', verdicts)]).toEqual([4, 1])
    expect(taken('attacker', verdicts)).toBeGreaterThan(0)
    expect(taken('attacker', verdicts)).toBeLessThanOrEqual(13)
  })
})
