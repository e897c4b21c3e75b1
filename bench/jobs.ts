// Runs imports and exports on a server over the API.
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { Job } from '../src/model/job.ts'
import { until } from '../test/support/wait.ts'
import type { Target } from './servers.ts'

const minutesMax = 60

export type JobClient = {
  /** Starts an import of an NDJSON file. @returns the job's id */
  startImport(file: string): Promise<string>
  startExport(): Promise<string>
  read(kind: 'import' | 'export', id: string): Promise<Job>
  /** @throws Error unless the job ends without a refused row */
  finish(kind: 'import' | 'export', id: string): Promise<Job>
  cancelImport(id: string): Promise<void>
}

export function openJobClient({ port }: Target, token: string): JobClient {
  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Job> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      ...init,
      headers: { authorization: `Bearer ${token}`, ...init.headers },
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as Job
  }
  const create = (kind: 'import' | 'export') =>
    call('POST', `/${kind}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ format: 'ndjson' }),
    })
  const read: JobClient['read'] = (kind, id) => call('GET', `/${kind}/${id}`)
  return {
    startImport: async (file) => {
      const { id } = await create('import')
      const body = Readable.toWeb(createReadStream(file)) as ReadableStream
      await call('PUT', `/import/${id}/file`, { body, duplex: 'half' } as RequestInit)
      await call('POST', `/import/${id}/start`)
      return id
    },
    startExport: async () => (await create('export')).id,
    read,
    finish: async (kind, id) => {
      const job = await until(
        `the ${kind}`,
        async () => {
          const job = await read(kind, id)
          return job.ended_at === null ? undefined : job
        },
        minutesMax * 60_000,
      )
      if (job.state !== 'done' || job.refused > 0)
        throw new Error(`the ${kind} failed: ${JSON.stringify(job)}`)
      return job
    },
    cancelImport: async (id) => void (await call('DELETE', `/import/${id}`)),
  }
}

/** @returns the time of the job's work, without the wait until a server takes it up */
export function workedMs({ rows_read, rows_per_second }: Job): number {
  return rows_per_second === null ? 0 : (rows_read / rows_per_second) * 1_000
}
