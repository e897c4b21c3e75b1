// The ids by which logs and answers refer to a request.

let processId: string | undefined
let requests = 0

/** @returns the client's id if it is safe in a log line, otherwise a new one */
export function readRequestId(sent: string | undefined): string {
  if (sent !== undefined && /^[A-Za-z0-9._-]{8,64}$/.test(sent)) return sent
  // A counter after one random prefix costs a fifth of a new UUID for each request.
  processId ??= crypto.randomUUID().slice(0, 24)
  return processId + (++requests).toString(16).padStart(12, '0')
}

/**
 * @param header the X-Amzn-Trace-Id header that AWS load balancers, API Gateway and Lambda set
 * @returns its trace id
 */
export function readTraceId(header: string | undefined): string | undefined {
  return header === undefined
    ? undefined
    : /(?:^|;)Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)/.exec(header)?.[1]
}
