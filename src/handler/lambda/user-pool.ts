// The entry of the function that speaks to Cognito for the others, which have no way there
// (connection/user-pool-function.ts). It stands outside of their network and has nothing but the pool.
import * as z from 'zod/mini'
import { openUserPool, type UserPool } from '../../connection/cognito/user-pool.ts'
import type { UserPoolAnswer } from '../../connection/cognito/user-pool-function.ts'

const username = z.string().check(z.minLength(1))
const until = z.number()
const userPoolCall = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.enum(['enable', 'disable', 'remove', 'groupsOf']), username, until }),
  z.strictObject({ verb: z.literal('setPassword'), username, password: z.string(), until }),
  z.strictObject({ verb: z.literal('addToGroups'), username, groups: z.array(z.string()), until }),
])

const callMsMax = 4_000

let pool: UserPool | undefined

/** @throws Error for what is no such call. What Cognito refuses is answered. */
export async function handler(event: unknown): Promise<UserPoolAnswer> {
  const read = z.safeParse(userPoolCall, event)
  // Not a word of what came: it may hold a password.
  if (!read.success) throw new Error('This function takes calls for the user pool, and this is none.')
  const userPoolId = process.env.COGNITO_USER_POOL_ID
  if (!userPoolId) throw new Error('COGNITO_USER_POOL_ID is required')
  pool ??= openUserPool(userPoolId)
  const call = read.data
  const signal = AbortSignal.timeout(Math.min(callMsMax, Math.max(0, call.until - Date.now())))
  try {
    if (call.until <= Date.now()) throw new Error('nobody waits for it any more')
    return { result: (await perform(pool, call, signal)) ?? null }
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error))
    return { error: { name, message } }
  }
}

async function perform(
  pool: UserPool,
  call: z.infer<typeof userPoolCall>,
  signal: AbortSignal,
): Promise<unknown> {
  if (call.verb === 'setPassword') return pool.setPassword(call.username, call.password, signal)
  if (call.verb === 'addToGroups') return pool.addToGroups(call.username, call.groups, signal)
  return pool[call.verb](call.username, signal)
}
