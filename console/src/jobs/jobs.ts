// The calls for imports and exports.
import { queryOptions } from '@tanstack/react-query'
import { dataOf } from '../../../client/src/connection.ts'
import { problemOf } from '../../../client/src/errors.ts'
import { api, ConnectionError, consoleFetch, type operations } from '../api/directory.ts'

export type Job = operations['getImport']['responses'][200]['content']['application/json']
export type ImportOptions = {
  format: 'ndjson' | 'csv' | 'keycloak' | 'auth0' | 'firebase' | 'cognito' | 'clerk' | 'supabase'
  on_conflict: 'skip' | 'update' | 'fail'
  match: 'username' | 'external_id'
}

const pollMs = 1_000
const shownErrors = 100
const shownJobs = 20

/** Files of imports that this page began, so that the run after a dry run needs no second choice. */
export const chosenFiles = new Map<string, File>()

export function isOver({ state }: Pick<Job, 'state'>): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled'
}

export const importsQuery = queryOptions({
  queryKey: ['imports'],
  queryFn: ({ signal }) => dataOf(api.GET('/import', { params: { query: { limit: shownJobs } }, signal })),
})

export function importQuery(id: string) {
  return queryOptions({
    queryKey: ['import', id],
    queryFn: ({ signal }) => dataOf(api.GET('/import/{id}', { params: { path: { id } }, signal })),
    refetchInterval: ({ state: { data } }) => (data && isOver(data) ? false : pollMs),
  })
}

export function importErrorsQuery(id: string) {
  return queryOptions({
    queryKey: ['import-errors', id],
    queryFn: ({ signal }) =>
      dataOf(
        api.GET('/import/{id}/errors', { params: { path: { id }, query: { limit: shownErrors } }, signal }),
      ),
  })
}

/** Creates an import, sends its file and starts it. */
export async function beginImport(file: File, body: ImportOptions & { dry_run: boolean }): Promise<Job> {
  const { upload, ...job } = await dataOf(api.POST('/import', { body: { ...body, announce: true } }))
  chosenFiles.set(job.id, file)
  await sendFile(upload.url, file)
  return dataOf(api.POST('/import/{id}/start', { params: { path: { id: job.id } } }))
}

/** @throws ProblemError, ConnectionError */
async function sendFile(url: string, file: File): Promise<void> {
  const target = url.startsWith('/import/') ? `/console/api${url}` : url
  let response: Response
  try {
    const headers = { 'content-type': 'application/octet-stream' }
    response = await consoleFetch(new Request(target, { method: 'PUT', body: file, headers }))
  } catch (error) {
    throw new ConnectionError('The file could not be sent.', { cause: error, isTimeout: false })
  }
  if (!response.ok) throw await problemOf(response)
}

export function cancelImport(id: string): Promise<Job> {
  return dataOf(api.DELETE('/import/{id}', { params: { path: { id } } }))
}

export function undoImport(id: string): Promise<Job> {
  return dataOf(api.POST('/import/{id}/undo', { params: { path: { id } } }))
}

export function beginExport(format: 'ndjson' | 'csv', filters: Record<string, string>): Promise<Job> {
  return dataOf(api.POST('/export', { body: { format, filters, include_hashes: false } }))
}

export function exportQuery(id: string | undefined) {
  return queryOptions({
    queryKey: ['export', id],
    queryFn: ({ signal }) => dataOf(api.GET('/export/{id}', { params: { path: { id: id ?? '' } }, signal })),
    enabled: id !== undefined,
    refetchInterval: ({ state: { data } }) => (data && isOver(data) ? false : pollMs),
  })
}
