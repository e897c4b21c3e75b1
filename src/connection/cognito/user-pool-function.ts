// The user pool behind a function that speaks to it: for functions in a network that has no way to Cognito.
// Cognito takes no calls over a private endpoint for a pool that has a sign-in page.
// https://docs.aws.amazon.com/cognito/latest/developerguide/vpc-interface-endpoints.html
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'
import type { UserPool } from './user-pool.ts'

/** A call of the pool's verbs, as the function is sent it. */
export type UserPoolCall = {
  verb: Exclude<keyof UserPool, 'close'>
  username: string
  /** The password of `setPassword`. */
  password?: string
  /** Of `addToGroups`. */
  groups?: string[]
  /** In epoch milliseconds: when nobody waits for it any more, and it must not be done. */
  until: number
}

/** What the function answers. */
export type UserPoolAnswer = { result: unknown } | { error: { name: string; message: string } }

// The function's own limit is five seconds.
const requestMsMax = 5_500
const callMsMax = 6_000
// The one who has it in memory waits no longer. Set later, it might not be the latest any more.
const setPasswordMsMax = 2_000

/** @param functionName its name or ARN, with the alias */
export function openUserPoolFunction(functionName: string): UserPool {
  const client = openAwsClient(
    () => import('@aws-sdk/client-lambda'),
    ({ LambdaClient }) =>
      // As with the pool itself: the outbox tries again, in its own order.
      new LambdaClient({ maxAttempts: 1, requestHandler: attemptLimits(requestMsMax) }),
  )

  const call = async (request: Omit<UserPoolCall, 'until'>, signal: AbortSignal): Promise<unknown> => {
    const limitMs = request.verb === 'setPassword' ? setPasswordMsMax : callMsMax
    const { Payload: answered, FunctionError } = await client.call(
      (sdk, lambda, limit) => {
        const Payload = JSON.stringify({ ...request, until: Date.now() + limitMs } satisfies UserPoolCall)
        return lambda.send(new sdk.InvokeCommand({ FunctionName: functionName, Payload }), limit)
      },
      limitMs,
      signal,
    )
    if (FunctionError !== undefined || !answered)
      throw new Error(`the user pool's function failed: ${FunctionError ?? 'no answer'}`)
    const answer = JSON.parse(answered.transformToString()) as UserPoolAnswer
    if ('error' in answer) throw Object.assign(new Error(answer.error.message), { name: answer.error.name })
    return answer.result
  }

  return {
    setPassword: async (username, password, signal) =>
      void (await call({ verb: 'setPassword', username, password }, signal)),
    enable: async (username, signal) => void (await call({ verb: 'enable', username }, signal)),
    disable: async (username, signal) => void (await call({ verb: 'disable', username }, signal)),
    remove: async (username, signal) => void (await call({ verb: 'remove', username }, signal)),
    groupsOf: async (username, signal) => (await call({ verb: 'groupsOf', username }, signal)) as string[],
    addToGroups: async (username, groups, signal) =>
      (await call({ verb: 'addToGroups', username, groups }, signal)) as boolean,
    close: client.close,
  }
}
