// The list of users: search, filters, sort and columns from the address, and actions on the selection.
import { useInfiniteQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useMemo, useState } from 'react'
import { useIsAdmin } from '../api/session.ts'
import { Button } from '../ui/button.tsx'
import { MenuButton } from '../ui/menu-button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { type Change, changed, columnsOf, defaultSort, filterNames, filtersOf, sortOf } from './address.ts'
import { BulkActions } from './bulk-actions.tsx'
import { lastList } from './last-list.ts'
import { SavedViews } from './saved-views.tsx'
import { SearchBox } from './search-box.tsx'
import { useSelection } from './selection.ts'
import { Total } from './total.tsx'
import { type PageParam, reloadList, usersQuery } from './users-query.ts'
import { UsersTable } from './users-table.tsx'

const ColumnMenu = lazy(() => import('./column-menu.tsx'))
const Filters = lazy(() => import('./filters.tsx'))
const ExportDialog = lazy(() => import('../jobs/export-dialog.tsx'))

const noPlaces: readonly PageParam[] = []

export function UsersScreen() {
  const address = useSearch({ from: '/users' })
  useEffect(() => lastList.set(address), [address])
  const navigate = useNavigate({ from: '/users' })
  const queryClient = useQueryClient()
  const isAdmin = useIsAdmin()
  const pages = useInfiniteQuery(usersQuery(address))
  const columnIds = useMemo(() => columnsOf(address), [address])
  const users = useMemo(() => pages.data?.pages.flatMap(({ items }) => items) ?? [], [pages.data])
  const [selection, setSelection] = useSelection(address)
  const [isExporting, setIsExporting] = useState(false)
  const [areFiltersOpen, setAreFiltersOpen] = useState(false)

  /** Merges into the address; undefined removes a part. */
  const change = (parts: Change, { replace = false } = {}) =>
    void navigate({ search: (old) => changed(old, parts), replace })
  const filterCount = filterNames.filter((name) => address[name] !== undefined).length
  const isNarrowed = filterCount > 0 || address.search !== undefined
  const clear = () => void navigate({ search: ({ sort, columns }) => changed({}, { sort, columns }) })
  const loadMore = () => {
    if (pages.hasNextPage && !pages.isFetching && !pages.isFetchNextPageError && !pages.isPlaceholderData)
      void pages.fetchNextPage()
  }

  const retry = () => {
    void (pages.isFetchNextPageError ? pages.fetchNextPage() : pages.refetch())
    void queryClient.invalidateQueries({ queryKey: ['users-total'] })
  }
  const loadPrevious = () => {
    if (pages.hasPreviousPage && !pages.isFetching && !pages.isPlaceholderData) void pages.fetchPreviousPage()
  }

  return (
    <div className="flex flex-1 flex-col">
      <h1 className="sr-only">Users</h1>
      <div className="flex flex-wrap items-center gap-2 px-3 py-2">
        <SearchBox value={address.search} onChange={(search) => change({ search }, { replace: true })} />
        <Button aria-expanded={areFiltersOpen} onPress={() => setAreFiltersOpen(!areFiltersOpen)}>
          Filters{filterCount > 0 && ` (${filterCount})`}
        </Button>
        <MenuButton text="Columns">
          {(menu) => (
            <ColumnMenu
              menu={menu}
              shown={columnIds}
              onChange={(ids) => change({ columns: ids.join(',') })}
            />
          )}
        </MenuButton>
        <SavedViews address={address} onOpen={(view) => void navigate({ search: view })} />
        <span className="flex-1" />
        <Total address={address} />
        {isAdmin && (
          <>
            <Button onPress={() => setIsExporting(true)}>Export…</Button>
            <Button onPress={() => void navigate({ to: '/users/new' })}>Create a user</Button>
          </>
        )}
        <Button look="quiet" onPress={() => void reloadList(queryClient)}>
          Reload
        </Button>
      </div>
      <Suspense>
        {areFiltersOpen && <Filters address={address} onChange={change} onClear={clear} />}
        {isExporting && (
          <ExportDialog of={{ filters: filtersOf(address) }} onClose={() => setIsExporting(false)} />
        )}
      </Suspense>
      {isAdmin && <BulkActions address={address} selection={selection} onChange={setSelection} />}
      {pages.error && (
        <div className="px-3 pb-2">
          <ProblemNotice error={pages.error} onRetry={retry} />
        </div>
      )}
      {pages.isPending ? (
        <Skeleton />
      ) : (
        <div
          aria-busy={pages.isPlaceholderData}
          className={`flex flex-1 flex-col ${pages.isPlaceholderData ? 'opacity-60' : ''}`}
        >
          <UsersTable
            users={users}
            columnIds={columnIds}
            sort={sortOf(address)}
            onSort={(sort) => change({ sort: sort === defaultSort ? undefined : sort })}
            selection={isAdmin ? selection : undefined}
            onSelect={setSelection}
            places={pages.data?.pageParams ?? noPlaces}
            hasMore={pages.hasNextPage}
            onLoadMore={loadMore}
            onLoadPrevious={loadPrevious}
            emptyState={
              pages.error ? null : <Empty isNarrowed={isNarrowed} isAdmin={isAdmin} onClear={clear} />
            }
          />
        </div>
      )}
    </div>
  )
}

const skeletonRows = Array.from({ length: 12 }, (_, index) => index)

function Skeleton() {
  return (
    <div aria-hidden="true" className="flex flex-col gap-3 border-t border-line p-3">
      {skeletonRows.map((row) => (
        <div key={row} className="skeleton h-6" />
      ))}
    </div>
  )
}

type EmptyProps = { isNarrowed: boolean; isAdmin: boolean; onClear: () => void }

function Empty({ isNarrowed, isAdmin, onClear }: EmptyProps) {
  return (
    <div className="flex flex-col items-start gap-2 p-6">
      {isNarrowed ? (
        <>
          <p>No user matches. Try fewer words, or remove a filter.</p>
          <Button onPress={onClear}>Show all users</Button>
        </>
      ) : (
        <p>There are no users yet.{isAdmin && ' Create the first one.'}</p>
      )}
    </div>
  )
}
