import { type QueryClient, queryOptions } from '@tanstack/react-query'
import { directory, type User } from '../api/directory.ts'
import { newerVersion } from '../api/newer-version.ts'
import { updateLoadedPages } from '../list/users-query.ts'

export function userQuery(id: string) {
  return queryOptions({
    queryKey: ['user', id],
    queryFn: ({ signal }) => directory.get(id, { signal }),
    // An answer that was under way during a save arrives after it.
    structuralSharing: (old, loaded) => newerVersion(old as User | undefined, loaded as User),
  })
}

/** Shows a saved user everywhere. */
export function storeUser(queryClient: QueryClient, user: User): void {
  queryClient.setQueryData(userQuery(user.id).queryKey, user)
  updateLoadedPages(queryClient, user.id, user)
}

export function removeUser(queryClient: QueryClient, id: string): void {
  queryClient.removeQueries({ queryKey: userQuery(id).queryKey })
  updateLoadedPages(queryClient, id, undefined)
}
