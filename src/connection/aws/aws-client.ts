// Loads an AWS SDK client on first use, and limits the time of its calls. The SDK's own limits exclude its search for
// credentials.

export type AwsClient<Sdk, Client> = {
  /**
   * @param work passes `limit` to the client's `send` as its options
   * @param msMax limits all attempts, the pauses between them and the search for credentials
   * @param signal aborts the call earlier
   * @throws the SDK's errors and the signal's reason
   */
  call<T>(
    work: (sdk: Sdk, client: Client, limit: { abortSignal: AbortSignal }) => Promise<T>,
    msMax: number,
    signal?: AbortSignal,
  ): Promise<T>
  close(): Promise<void>
}

/** The time limits of one attempt, for a client's `requestHandler`. */
export function attemptLimits(requestMsMax: number) {
  return { connectionTimeout: 1_000, requestTimeout: requestMsMax, throwOnRequestTimeout: true }
}

export function openAwsClient<Sdk, Client extends { destroy(): void }>(
  load: () => Promise<Sdk>,
  create: (sdk: Sdk) => Client,
): AwsClient<Sdk, Client> {
  let opened: Promise<{ sdk: Sdk; client: Client }> | undefined
  const open = async () => {
    const sdk = await load()
    return { sdk, client: create(sdk) }
  }
  return {
    call: async (work, msMax, signal) => {
      opened ??= open()
      const { sdk, client } = await opened
      const timeout = AbortSignal.timeout(msMax)
      const abortSignal = signal ? AbortSignal.any([signal, timeout]) : timeout
      abortSignal.throwIfAborted()
      const aborted = new Promise<never>((_, reject) => {
        abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true })
      })
      return Promise.race([work(sdk, client, { abortSignal }), aborted])
    },
    close: async () => (await opened)?.client.destroy(),
  }
}
