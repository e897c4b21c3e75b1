// Imports and exports: what the screens load and begin.
import { type QueryFunctionContext, queryOptions } from '@tanstack/react-query'
import { exports, hasEnded, imports, type Job, type NewImport, polls } from '../api/directory.ts'

export type ImportOptions = Required<Pick<NewImport, 'format' | 'on_conflict' | 'match'>>

const pollMs = 1_000
const shownJobs = 20
/** More than these are not shown. */
export const shownErrors = 100

/** Files of imports that this page began, so that the run after a dry run needs no second choice. */
export const chosenFiles = new Map<string, File>()

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

export function importErrorsQuery(id: string) {
  return queryOptions({
    queryKey: ['import-errors', id],
    queryFn: ({ signal }) => firstOf(imports.errors(id, { signal }), shownErrors),
  })
}

/** Creates an import, sends its file and starts it. */
export async function beginImport(file: File, options: ImportOptions & { dry_run: boolean }): Promise<Job> {
  const created = await imports.create({ ...options, announce: true })
  chosenFiles.set(created.id, file)
  await imports.sendFile(created, file)
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

/** The first load follows from what the person did; the later ones do not. */
function isPoll({ client, queryKey }: QueryFunctionContext): boolean {
  return client.getQueryData(queryKey) !== undefined
}

async function firstOf<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const first: T[] = []
  for await (const item of items) if (first.push(item) >= count) break
  return first
}
