// Calls a Lambda function that runs outside the network, and so reaches what this process cannot.
import { attemptLimits, openAwsClient } from './aws-client.ts'

/** The function's response. */
export type RemoteAnswer = { result: unknown } | { error: { name: string; message: string } }

export type RemoteFunction = {
  /**
   * @param event gets a field `until`, in epoch milliseconds. After that the caller has given up, and the function must not
   *   execute the call
   * @returns the `result` of its response
   * @throws Error with the name and message of its `error`; the SDK's errors; the signal's reason
   */
  call(event: object, msMax: number, signal?: AbortSignal): Promise<unknown>
  close(): Promise<void>
}

/**
 * @param name the function's name or ARN, with the alias
 * @param options.label for messages
 * @param options.requestMsMax more than the function's own limit
 */
export function openRemoteFunction(
  name: string,
  { label, requestMsMax }: { label: string; requestMsMax: number },
): RemoteFunction {
  const client = openAwsClient(
    () => import('@aws-sdk/client-lambda'),
    ({ LambdaClient }) =>
      // The callers decide whether to repeat a call.
      new LambdaClient({ maxAttempts: 1, requestHandler: attemptLimits(requestMsMax) }),
  )
  return {
    call: async (event, msMax, signal) => {
      const { Payload: response, FunctionError } = await client.call(
        (sdk, lambda, limit) => {
          const Payload = JSON.stringify({ ...event, until: Date.now() + msMax })
          return lambda.send(new sdk.InvokeCommand({ FunctionName: name, Payload }), limit)
        },
        msMax,
        signal,
      )
      if (FunctionError !== undefined || !response)
        throw new Error(`${label} failed: ${FunctionError ?? 'no response'}`)
      const answer = JSON.parse(response.transformToString()) as RemoteAnswer
      if ('error' in answer) throw Object.assign(new Error(answer.error.message), { name: answer.error.name })
      return answer.result
    },
    close: client.close,
  }
}
