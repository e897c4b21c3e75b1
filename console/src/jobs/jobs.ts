// Imports, exports and bulk changes: what the screens load and begin.
import { keepPreviousData, type QueryFunctionContext, queryOptions } from '@tanstack/react-query'
import { bulk, exports, hasEnded, imports, type Job, type NewImport, polls } from '../api/directory.ts'

/** The request of an import without the choice of a dry run, and its files. */
export type ImportPlan = {
  file: File
  /** For sources that keep hashes apart. */
  hashes: File | undefined
  request: Omit<NewImport, 'dry_run'>
}

const pollMs = 1_000
const shownJobs = 20
const errorsPerPage = 100
const usersPerPage = 50
const keptPlans = 10

/** The imports that this page began, so that the run after a dry run needs no second choice. */
export const plans = new Map<string, ImportPlan>()

export const importsQuery = queryOptions({
  queryKey: ['imports'],
  queryFn: ({ signal }) => firstOf(imports.list({ signal }), shownJobs),
})

export function importQuery(id: string) {
  return queryOptions({
    queryKey: ['import', id],
    queryFn: (query) => (isPoll(query) ? polls.imports : imports).get(id, query),
    refetchInterval: ({ state: { data } }) => (data && hasEnded(data) ? false : pollMs),
  })
}

/** @param cursor undefined for the first page */
export function importErrorsQuery(id: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['import-errors', id, cursor],
    queryFn: ({ signal }) =>
      imports.errorPage(id, { limit: errorsPerPage, ...(cursor && { cursor }) }, { signal }),
    placeholderData: keepPreviousData,
  })
}

/** @param cursor undefined for the first page */
export function createdUsersQuery(id: string, cursor: string | undefined) {
  return queryOptions({
    queryKey: ['import-users', id, cursor],
    queryFn: ({ signal }) =>
      imports.userPage(id, { limit: usersPerPage, ...(cursor && { cursor }) }, { signal }),
    placeholderData: keepPreviousData,
  })
}

/** Creates an import, sends its files and starts it. */
export async function beginImport(plan: ImportPlan, isDryRun: boolean): Promise<Job> {
  const { file, hashes, request } = plan
  const created = await imports.create({ ...request, dry_run: isDryRun })
  plans.set(created.id, plan)
  for (const id of [...plans.keys()].slice(0, -keptPlans)) plans.delete(id)
  await imports.sendFile(created, file)
  if (hashes) await imports.sendHashes(created, hashes)
  return imports.start(created.id)
}

export function exportQuery(id: string | undefined) {
  return queryOptions({
    queryKey: ['export', id],
    queryFn: (query) => (isPoll(query) ? polls.exports : exports).get(id ?? '', query),
    enabled: id !== undefined,
    refetchInterval: ({ state: { data } }) => (data && hasEnded(data) ? false : pollMs),
  })
}

export const bulkChangesQuery = queryOptions({
  queryKey: ['bulk-changes'],
  queryFn: ({ signal }) => firstOf(bulk.list({ signal }), shownJobs),
})

export function bulkQuery(id: string) {
  return queryOptions({
    queryKey: ['bulk', id],
    queryFn: (query) => (isPoll(query) ? polls.bulk : bulk).get(id, query),
    refetchInterval: ({ state: { data } }) => (data && hasEnded(data) ? false : pollMs),
  })
}

export function keptUsersQuery(id: string) {
  return queryOptions({
    queryKey: ['bulk-errors', id],
    queryFn: ({ signal }) => firstOf(bulk.errors(id, { signal }), errorsPerPage),
  })
}

/** The first load follows from what the person did; the later ones do not. */
function isPoll({ client, queryKey }: QueryFunctionContext): boolean {
  return client.getQueryData(queryKey) !== undefined
}

async function firstOf<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const first: T[] = []
  for await (const item of items) if (first.push(item) >= count) break
  return first
}
