// A load generator with little overhead: raw keep-alive sockets with one request at a time. It finds the end of a
// response by its Content-Length.
import { connect } from 'node:net'

export type Load = {
  /** 2xx responses only, like the percentiles. */
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** Responses with 429 or 503. */
  rejected: number
  /** Responses with another status. */
  bad: number
}

/**
 * @param target.skipMs responses in this time are not counted
 * @param next returns the next request, head and body
 */
export async function load(
  target: { port: number; connections: number; seconds: number; skipMs?: number },
  next: () => string,
): Promise<Load> {
  const latenciesMs: number[] = []
  let rejected = 0
  let bad = 0
  const startedAt = performance.now()
  const countFrom = startedAt + (target.skipMs ?? 0)
  const endAt = countFrom + target.seconds * 1_000
  await Promise.all(Array.from({ length: target.connections }, () => drive()))
  const seconds = (performance.now() - countFrom) / 1_000
  latenciesMs.sort((a, b) => a - b)
  const percentile = (share: number) => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? 0
  return {
    perSecond: latenciesMs.length / seconds,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
    rejected,
    bad,
  }

  function count(status: string, latencyMs: number): void {
    if (performance.now() < countFrom) return
    if (status.startsWith('2')) latenciesMs.push(latencyMs)
    else if (status === '429' || status === '503') rejected++
    else bad++
  }

  function drive(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: target.port, host: '127.0.0.1', noDelay: true })
      let sentAt = 0
      let pending: Buffer = Buffer.alloc(0)
      const send = (): void => {
        sentAt = performance.now()
        if (sentAt >= endAt) socket.end()
        else socket.write(next())
      }
      socket.on('connect', send)
      socket.on('data', (chunk: Buffer) => {
        pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
        const headEnd = pending.indexOf('\r\n\r\n')
        if (headEnd === -1) return
        const head = pending.toString('latin1', 0, headEnd)
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (pending.length < headEnd + 4 + length) return
        pending = pending.subarray(headEnd + 4 + length)
        count(head.slice(9, 12), performance.now() - sentAt)
        send()
      })
      socket.on('close', () => resolve())
      socket.on('error', reject)
    })
  }
}
