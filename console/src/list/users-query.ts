// The list's pages, and how changes made here reach the pages that are already loaded.
import {
  type InfiniteData,
  infiniteQueryOptions,
  keepPreviousData,
  type QueryClient,
  queryOptions,
} from '@tanstack/react-query'
import { directory, type User } from '../api/directory.ts'
import { filtersOf, type ListAddress, sortOf } from './address.ts'

type Page = Awaited<ReturnType<typeof directory.page>>

const pageSize = 100
// Kept for a quick way back from a user, but not so long that it misleads.
const keptMs = 60_000

export function usersQuery(address: ListAddress) {
  const query = { ...filtersOf(address), sort: sortOf(address), limit: pageSize }
  return infiniteQueryOptions({
    queryKey: ['users', query],
    queryFn: ({ pageParam, signal }): Promise<Page> =>
      directory.page(pageParam === null ? query : { ...query, cursor: pageParam }, { signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page: Page) => page.next_cursor,
    placeholderData: keepPreviousData,
    gcTime: keptMs,
    // A refetch would load every page that was scrolled past.
    staleTime: Number.POSITIVE_INFINITY,
  })
}

export function totalQuery(address: ListAddress, count: 'estimate' | 'exact') {
  const query = { ...filtersOf(address), limit: 1, count }
  return queryOptions({
    queryKey: ['users-total', query],
    queryFn: async ({ signal }) => {
      const { total = 0, total_is = count } = await directory.page(query, { signal })
      return { total, isExact: total_is === 'exact' }
    },
    placeholderData: keepPreviousData,
  })
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
            ? { ...page, items: page.items.flatMap((item) => (item.id === id ? (user ?? []) : item)) }
            : page,
        ),
      },
  )
}

/** Loads the list from its first page again. */
export async function reloadList(queryClient: QueryClient): Promise<void> {
  await Promise.all([
    queryClient.resetQueries({ queryKey: ['users'] }),
    queryClient.resetQueries({ queryKey: ['users-total'] }),
  ])
}
