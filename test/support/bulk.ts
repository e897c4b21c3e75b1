// Runs bulk changes over the API, as a client and a server do.
import type { Job, Page } from '../../src/model/job.ts'
import { runNextJob } from '../../src/services/jobs/run.ts'
import type { JobError } from './import.ts'
import type { CallOptions, Service } from './service.ts'

/** Creates a bulk change. It waits until a job runner takes it up. */
export async function createBulk({ call }: Service, json: object, options: CallOptions = {}): Promise<Job> {
  const created = await call<Job>('POST', '/bulk', { json, ...options })
  if (created.status !== 201) throw new Error(`no bulk change: ${created.text}`)
  return created.body
}

/** Creates a bulk change and runs it to its end. */
export async function runBulk(service: Service, json: object, options: CallOptions = {}): Promise<Job> {
  const { id } = await createBulk(service, json, options)
  return runToEnd(service, id)
}

/** Undoes a bulk change. */
export async function undoBulk(service: Service, id: string, options: CallOptions = {}): Promise<Job> {
  const created = await service.call<Job>('POST', `/bulk/${id}/undo`, options)
  if (created.status !== 201) throw new Error(`no undo: ${created.text}`)
  return runToEnd(service, created.body.id)
}

async function runToEnd(service: Service, id: string): Promise<Job> {
  await runNextJob(service.connections, new AbortController().signal)
  return (await service.call<Job>('GET', `/bulk/${id}`)).body
}

export async function bulkErrors({ call }: Service, id: string): Promise<JobError[]> {
  return (await call<Page<JobError>>('GET', `/bulk/${id}/errors?limit=200`)).body.items
}
