// Calls the user pool through a Lambda function, from a network without a route to Cognito. Cognito accepts no calls
// through a private endpoint for a pool with a managed login page.
// https://docs.aws.amazon.com/cognito/latest/developerguide/vpc-interface-endpoints.html
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'
import type { UserPool } from './user-pool.ts'

/** The event of the function: one call of a `UserPool` method. */
export type UserPoolCall = {
  verb: Exclude<keyof UserPool, 'close'>
  username: string
  /** For `setPassword`. */
  password?: string
  /** For `addToGroups`. */
  groups?: string[]
  /** In epoch milliseconds. After that the caller has given up, and the function must not execute the call. */
  until: number
}

/** The function's response. */
export type UserPoolAnswer = { result: unknown } | { error: { name: string; message: string } }

// The function's own limit is five seconds.
const requestMsMax = 5_500
const callMsMax = 6_000
// The caller gives up earlier on a password, which might no longer be the latest if it were set later.
const setPasswordMsMax = 2_000

/** @param functionName the name or ARN, with the alias */
export function openUserPoolFunction(functionName: string): UserPool {
  const client = openAwsClient(
    () => import('@aws-sdk/client-lambda'),
    ({ LambdaClient }) =>
      // The outbox retries, in its own order.
      new LambdaClient({ maxAttempts: 1, requestHandler: attemptLimits(requestMsMax) }),
  )

  const call = async (request: Omit<UserPoolCall, 'until'>, signal: AbortSignal): Promise<unknown> => {
    const limitMs = request.verb === 'setPassword' ? setPasswordMsMax : callMsMax
    const { Payload: response, FunctionError } = await client.call(
      (sdk, lambda, limit) => {
        const Payload = JSON.stringify({ ...request, until: Date.now() + limitMs } satisfies UserPoolCall)
        return lambda.send(new sdk.InvokeCommand({ FunctionName: functionName, Payload }), limit)
      },
      limitMs,
      signal,
    )
    if (FunctionError !== undefined || !response)
      throw new Error(`the user pool's function failed: ${FunctionError ?? 'no response'}`)
    const answer = JSON.parse(response.transformToString()) as UserPoolAnswer
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
