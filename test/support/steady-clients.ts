// Clients that read one path again and again over kept connections, and notice every request that fails.
import { Agent, request } from 'node:http'

export type SteadyClients = {
  /** Answers so far, by status. */
  statuses: Map<number, number>
  /** Requests that got no answer, by error code. Refused connections are not among them. */
  failures: Map<string, number>
  /** Connections that the server refused, because it accepts no more. */
  refused(): number
  /** Sends no more requests and waits for the last answers. */
  stop(): Promise<void>
}

/** @param options.pauseMs between an answer and the client's next request */
export function startSteadyClients(
  target: { port: number; path: string; token: string },
  { clients, pauseMs }: { clients: number; pauseMs: number },
): SteadyClients {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const statuses = new Map<number, number>()
  const failures = new Map<string, number>()
  let refused = 0
  let isOver = false

  const ask = (): Promise<void> =>
    new Promise((done) => {
      const { port, path, token } = target
      const asked = request(
        { agent, host: '127.0.0.1', port, path, headers: { authorization: `Bearer ${token}` } },
        (answer) => {
          answer.resume()
          answer.once('end', () => {
            const status = answer.statusCode ?? 0
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
            done()
          })
          answer.once('error', fail)
        },
      )
      const fail = (error: NodeJS.ErrnoException): void => {
        const { code = error.message } = error
        if (code === 'ECONNREFUSED') refused++
        else failures.set(code, (failures.get(code) ?? 0) + 1)
        done()
      }
      asked.once('error', fail)
      asked.end()
    })
  const drive = async (): Promise<void> => {
    while (!isOver) {
      await ask()
      await new Promise((next) => setTimeout(next, pauseMs))
    }
  }
  const all = Promise.all(Array.from({ length: clients }, drive))
  return {
    statuses,
    failures,
    refused: () => refused,
    stop: async () => {
      isOver = true
      await all
      agent.destroy()
    },
  }
}
