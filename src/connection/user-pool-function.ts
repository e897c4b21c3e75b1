// The user pool behind a function that speaks to it: for functions in a network that has no way to Cognito.
// Cognito takes no calls over a private endpoint for a pool that has a sign-in page.
// https://docs.aws.amazon.com/cognito/latest/developerguide/vpc-interface-endpoints.html
import type { LambdaClient } from '@aws-sdk/client-lambda'
import type { UserPool } from './user-pool.ts'

type Sdk = typeof import('@aws-sdk/client-lambda')

/** A call of the pool's verbs, as the function is sent it. */
export type UserPoolCall = {
  verb: Exclude<keyof UserPool, 'close'>
  username: string
  /** The password of `setPassword`, the group of `addToGroup`. */
  value?: string
}

/** What the function answers. */
export type UserPoolAnswer = { result: unknown } | { error: { name: string; message: string } }

const connectMsMax = 1_000
// The function's own limit is five seconds.
const requestMsMax = 5_500
const callMsMax = 6_000

/** @param functionName its name or ARN, with the alias */
export function openUserPoolFunction(functionName: string): UserPool {
  // Loaded on first use: reads never need it.
  let opened: Promise<{ sdk: Sdk; client: LambdaClient }> | undefined
  const open = async () => {
    const sdk = await import('@aws-sdk/client-lambda')
    const client = new sdk.LambdaClient({
      // As with the pool itself: the outbox tries again, in its own order.
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: connectMsMax,
        requestTimeout: requestMsMax,
        throwOnRequestTimeout: true,
      },
    })
    return { sdk, client }
  }

  const call = async (request: UserPoolCall, signal: AbortSignal): Promise<unknown> => {
    opened ??= open()
    const { sdk, client } = await opened
    const abortSignal = AbortSignal.any([signal, AbortSignal.timeout(callMsMax)])
    abortSignal.throwIfAborted()
    // Raced as well, since the SDK does not heed the signal while it looks for credentials.
    const timeUp = new Promise<never>((_, reject) => {
      abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true })
    })
    const command = new sdk.InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) })
    const { Payload, FunctionError } = await Promise.race([client.send(command, { abortSignal }), timeUp])
    if (FunctionError !== undefined || !Payload)
      throw new Error(`the user pool's function failed: ${FunctionError ?? 'no answer'}`)
    const answer = JSON.parse(Payload.transformToString()) as UserPoolAnswer
    if ('error' in answer) throw Object.assign(new Error(answer.error.message), { name: answer.error.name })
    return answer.result
  }

  return {
    setPassword: async (username, value, signal) =>
      void (await call({ verb: 'setPassword', username, value }, signal)),
    enable: async (username, signal) => void (await call({ verb: 'enable', username }, signal)),
    disable: async (username, signal) => void (await call({ verb: 'disable', username }, signal)),
    remove: async (username, signal) => void (await call({ verb: 'remove', username }, signal)),
    groupsOf: async (username, signal) => (await call({ verb: 'groupsOf', username }, signal)) as string[],
    addToGroup: async (username, value, signal) =>
      (await call({ verb: 'addToGroup', username, value }, signal)) as boolean,
    close: () => void opened?.then(({ client }) => client.destroy()),
  }
}
