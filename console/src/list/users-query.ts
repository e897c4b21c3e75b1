// The list's pages, and how changes made here reach the pages that are already loaded.
import {
  type InfiniteData,
  infiniteQueryOptions,
  keepPreviousData,
  type QueryClient,
  type QueryKey,
  queryOptions,
} from '@tanstack/react-query'
import { directory, earlyDirectory, type User, type UserQuery } from '../api/directory.ts'
import { newerVersion } from '../api/newer-version.ts'
import { sessionQuery } from '../api/session.ts'
import { filtersOf, type ListAddress, sortOf } from './address.ts'

type Page = Awaited<ReturnType<typeof directory.page>>

export const pageSize = 50
// Bounds memory, and the work for each further page.
const pagesMax = 16
// Kept for a quick way back from a user, but not so long that it misleads.
const keptMs = 60_000

/** A page's place. It leads back to the pages before it, whose users are no longer held. */
export type PageParam = { index: number; cursor: string | null; previous: PageParam | undefined }

/** Holds a window of pages: loading one drops the farthest at the other end. */
export function usersQuery(address: ListAddress) {
  const query: UserQuery = { ...filtersOf(address), sort: sortOf(address), limit: pageSize }
  return infiniteQueryOptions<Page, Error, InfiniteData<Page, PageParam>, QueryKey, PageParam>({
    queryKey: ['users', query],
    queryFn: async ({ client, pageParam: { cursor }, signal }): Promise<Page> => {
      const { page: load } = client.getQueryData(sessionQuery.queryKey) ? directory : earlyDirectory
      const page: Page | undefined = await load(cursor === null ? query : { ...query, cursor }, { signal })
      if (!page) throw new Error('This person may not see the list.')
      return page
    },
    // An object of its own for each list, so that it marks where the list changes.
    initialPageParam: { index: 0, cursor: null, previous: undefined },
    getNextPageParam: ({ next_cursor }: Page, _pages, previous): PageParam | undefined =>
      next_cursor === null ? undefined : { index: previous.index + 1, cursor: next_cursor, previous },
    getPreviousPageParam: (_page, _pages, { previous }): PageParam | undefined => previous,
    maxPages: pagesMax,
    // Comparing the chains of places would cost more than it saves.
    structuralSharing: false,
    placeholderData: keepPreviousData,
    gcTime: keptMs,
    // A refetch would load every page that is held.
    staleTime: Number.POSITIVE_INFINITY,
  })
}

export function totalQuery(address: ListAddress, count: 'estimate' | 'exact') {
  const query: UserQuery = { ...filtersOf(address), limit: 1, count }
  return queryOptions({
    queryKey: ['users-total', query],
    queryFn: async ({ signal }) => {
      const { total = 0, total_is = count } = await directory.page(query, { signal })
      return { total, isExact: total_is === 'exact' }
    },
    placeholderData: keepPreviousData,
  })
}

const number = new Intl.NumberFormat()

/** @returns such as `12,431 users` */
export function usersText(total: number, isExact = true): string {
  if (!isExact) return `about ${number.format(total)} users`
  return total === 1 ? '1 user' : `${number.format(total)} users`
}

/** Puts a changed user into the loaded pages; with undefined, removes it. */
export function updateLoadedPages(queryClient: QueryClient, id: string, user: User | undefined): void {
  queryClient.setQueriesData<InfiniteData<Page>>(
    { queryKey: ['users'] },
    (data) =>
      data && {
        ...data,
        pages: data.pages.map((page) =>
          page.items.some((item) => item.id === id)
            ? { ...page, items: changedItems(page.items, id, user) }
            : page,
        ),
      },
  )
}

function changedItems(items: readonly User[], id: string, user: User | undefined): User[] {
  return items.flatMap((item) => {
    if (item.id !== id) return item
    return user ? newerVersion(item, user) : []
  })
}

/** Loads the list from its first page again. */
export async function reloadList(queryClient: QueryClient): Promise<void> {
  await Promise.all([
    queryClient.resetQueries({ queryKey: ['users'] }),
    queryClient.resetQueries({ queryKey: ['users-total'] }),
  ])
}
