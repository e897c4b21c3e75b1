// The types and the paging that the calls of every subject share.
import type { operations } from './api-types.ts'

/** The JSON body that an operation takes. */
export type JsonBody<Operation extends keyof operations> = operations[Operation] extends {
  requestBody: { content: { 'application/json': infer Body } }
}
  ? Body
  : never

type Page<T> = { items: T[]; next_cursor: string | null }

const pageSize = 200

/** The query of a page of jobs or faults. */
export function pageOf(cursor: string | undefined) {
  return { limit: pageSize, ...(cursor !== undefined && { cursor }) }
}

/** Reads page by page. @throws Error if the service returns the same page twice */
export async function* itemsOf<T>(
  readPage: (cursor: string | undefined) => Promise<Page<T>>,
  first?: string,
): AsyncGenerator<T, void, undefined> {
  let cursor = first
  for (;;) {
    const page = await readPage(cursor)
    yield* page.items
    if (page.next_cursor === null) return
    if (page.next_cursor === cursor) throw new Error('The service returned the same page twice.')
    cursor = page.next_cursor
  }
}
