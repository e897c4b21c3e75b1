// Hashing is shared fairly: one caller, source or user at full load leaves the others their turns. The tests count whose
// work is done, and measure no time.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { checkPassword } from '../../../src/services/identity/check-password.ts'
import { hashedAtOnce, unknownUserHash, verifyPassword } from '../../../src/services/identity/passwords.ts'
import { startService, uniqueName } from '../../support/service.ts'
import { until } from '../../support/wait.ts'

const service = await startService()
const { call, connections, issuer, makeUser } = service
const password = 'a-good-password'

type Done = { done: number; refused: number }

/** Keeps `width` calls of `work` running until the other work is done. @returns their results */
async function beside(
  attack: () => Promise<boolean>,
  width: number,
  work: () => Promise<void>,
): Promise<Done> {
  const count = { done: 0, refused: 0 }
  let isOver = false
  const attackers = Array.from({ length: width }, async () => {
    while (!isOver) {
      if (await attack()) count.done++
      else {
        count.refused++
        // A rejection comes in the same turn of the event loop.
        await nextTurn()
      }
    }
  })
  await until('the attack to be at its full strength', () => count.done > 0)
  const before = { ...count }
  await work()
  const meanwhile = { done: count.done - before.done, refused: count.refused - before.refused }
  isOver = true
  await Promise.all(attackers)
  return meanwhile
}

const isDone = async (work: Promise<unknown>): Promise<boolean> => {
  try {
    await work
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'overloaded' })
    return false
  }
}

const rounds = 3
const chains = 3 * hashedAtOnce
/** With turns, others get one hash per slot while mine runs, and one before it starts. */
const othersMax = 2 * rounds * hashedAtOnce + 5

describe('one caller who creates users at full load', () => {
  const create = async (token: string): Promise<number> => {
    const json = { username: uniqueName(), password }
    return (await call('POST', '/user', { token, json, isLast: true })).status
  }
  const adminToken = () => issuer.token({ username: uniqueName('admin'), 'cognito:groups': ['admins'] })

  it('leaves half of the hashes to another administrator’s creations', async () => {
    const [greedy, other] = [await adminToken(), await adminToken()]
    const { done } = await beside(
      async () => (await create(greedy)) === 201,
      30,
      async () => {
        // Several at once, so that one always waits for its turn, however slow the rest of a creation is.
        const chain = async () => {
          for (let round = 0; round < rounds; round++) expect(await create(other)).toBe(201)
        }
        await Promise.all(Array.from({ length: chains }, chain))
      },
    )
    expect(done).toBeLessThanOrEqual(chains * othersMax)
  })

  it('leaves half of them to sign-ins and changes of the own password', async () => {
    const greedy = await adminToken()
    const me = await makeUser()
    const token = await issuer.token({ username: me.username })
    const { done } = await beside(
      async () => (await create(greedy)) === 201,
      30,
      async () => {
        for (let round = 0; round < rounds; round++)
          expect(await checkPassword(connections, { username: me.username, password })).toMatchObject({
            id: me.id,
          })
        const json = { password: 'another-password', current_password: password }
        expect((await call('PATCH', `/user/${me.id}`, { token, json, isLast: true })).status).toBe(200)
      },
    )
    expect(done).toBeLessThanOrEqual(othersMax + 4 * hashedAtOnce)
  })
})

describe('one source that guesses at full load', () => {
  const guess = (share: string) =>
    verifyPassword(unknownUserHash, 'wrong', { share, startUntil: performance.now() + 3_000 })

  it('leaves half of the checks to other sources, even while the queue is full', async () => {
    const { done, refused } = await beside(
      () => isDone(guess('source:greedy')),
      200 * hashedAtOnce,
      async () => {
        for (let round = 0; round < rounds; round++) await guess('source:other')
      },
    )
    expect(done).toBeLessThanOrEqual(othersMax)
    expect(refused).toBeGreaterThan(0)
  })

  it('at many names is throttled, and users of other sources sign in', async () => {
    const users = await Promise.all(Array.from({ length: 3 }, () => makeUser()))
    const greedy = uniqueName('198.51.100')
    const names = Array.from({ length: 60 }, () => uniqueName())
    const guesses = Promise.all(
      names.map((username) =>
        isDone(checkPassword(connections, { username, password: 'wrong', source: greedy })),
      ),
    )
    for (const { id, username } of users) {
      const found = await checkPassword(connections, { username, password, source: uniqueName('192.0.2') })
      expect(found).toMatchObject({ id })
    }
    const made = await guesses
    expect(made.filter(Boolean).length).toBeLessThan(30)
  })
})
