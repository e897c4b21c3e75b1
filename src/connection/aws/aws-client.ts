// Clients of the AWS SDK: loaded on first use, since reads of users never need one, and called within a limit that
// holds also while the SDK looks for credentials, which its own limits do not.

export type AwsClient<Sdk, Client> = {
  /**
   * @param work is given what to hand to the client's `send` as its options
   * @param msMax over all attempts, the waits between them and the search for credentials
   * @param signal ends the call sooner
   * @throws what the SDK does, and the signal's reason
   */
  call<T>(
    work: (sdk: Sdk, client: Client, limit: { abortSignal: AbortSignal }) => Promise<T>,
    msMax: number,
    signal?: AbortSignal,
  ): Promise<T>
  close(): Promise<void>
}

/** The limits of one attempt, for a client's `requestHandler`. */
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
      const late = AbortSignal.timeout(msMax)
      const abortSignal = signal ? AbortSignal.any([signal, late]) : late
      abortSignal.throwIfAborted()
      const timeUp = new Promise<never>((_, reject) => {
        abortSignal.addEventListener('abort', () => reject(abortSignal.reason), { once: true })
      })
      return Promise.race([work(sdk, client, { abortSignal }), timeUp])
    },
    close: async () => (await opened)?.client.destroy(),
  }
}
