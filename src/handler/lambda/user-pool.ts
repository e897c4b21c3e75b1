// The entry of the function that calls Cognito for the functions in the VPC, which have no route to it
// (connection/cognito/user-pool-function.ts). It runs outside the VPC and may access nothing but the user pool.
import * as z from 'zod/mini'
import type { RemoteAnswer } from '../../connection/aws/remote-function.ts'
import { openUserPool, type UserPool } from '../../connection/cognito/user-pool.ts'

const username = z.string().check(z.minLength(1))
const until = z.number()
const userPoolCall = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.enum(['enable', 'disable', 'remove', 'groupsOf']), username, until }),
  z.strictObject({ verb: z.literal('setPassword'), username, password: z.string(), until }),
  z.strictObject({ verb: z.literal('addToGroups'), username, groups: z.array(z.string()), until }),
])

const callMsMax = 4_000

let pool: UserPool | undefined

/**
 * @returns Cognito's result, or its error
 * @throws Error for an event that is not a call of the user pool
 */
export async function handler(event: unknown): Promise<RemoteAnswer> {
  const read = z.safeParse(userPoolCall, event)
  // The message contains nothing of the event, which may hold a password.
  if (!read.success) throw new Error('This is not a call of the user pool.')
  const userPoolId = process.env.COGNITO_USER_POOL_ID
  if (!userPoolId) throw new Error('COGNITO_USER_POOL_ID is required')
  pool ??= openUserPool(userPoolId)
  const call = read.data
  const signal = AbortSignal.timeout(Math.min(callMsMax, Math.max(0, call.until - Date.now())))
  try {
    if (call.until <= Date.now()) throw new Error('the caller’s deadline has passed')
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
