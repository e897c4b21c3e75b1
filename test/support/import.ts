// Runs imports over the API, as a client and a server do.
import type { Job, Page } from '../../src/model/job.ts'
import { runNextJob } from '../../src/services/jobs/run.ts'
import type { Service } from './service.ts'

export type JobError = { line: number; pointer: string; message: string }

/** Users as our NDJSON. */
export function ndjson(users: object[]): Uint8Array<ArrayBuffer> {
  return Buffer.from(users.map((user) => `${JSON.stringify(user)}\n`).join(''))
}

/** Creates an import with its file. It is not started. */
export async function prepareImport(
  { call }: Service,
  file: Uint8Array<ArrayBuffer>,
  options: object = {},
): Promise<Job> {
  const created = await call<Job>('POST', '/import', { json: { format: 'ndjson', ...options } })
  if (created.status !== 201) throw new Error(`no import: ${created.text}`)
  const stored = await call<Job>('PUT', `/import/${created.body.id}/file`, { body: file })
  if (stored.status !== 200) throw new Error(`no file: ${stored.text}`)
  return stored.body
}

/** Starts an import and runs it to its end. */
export async function runImport(
  service: Service,
  file: Uint8Array<ArrayBuffer>,
  options: object = {},
): Promise<Job> {
  const { id } = await prepareImport(service, file, options)
  await service.call('POST', `/import/${id}/start`)
  await runNextJob(service.connections, new AbortController().signal)
  return readJob(service, id)
}

export async function readJob({ call }: Service, id: string): Promise<Job> {
  return (await call<Job>('GET', `/import/${id}`)).body
}

export async function errorsOf({ call }: Service, id: string): Promise<JobError[]> {
  return (await call<Page<JobError>>('GET', `/import/${id}/errors?limit=200`)).body.items
}
