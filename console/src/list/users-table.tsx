// The grid of users. Only the visible rows are in the document.
import { type KeyboardEvent, type ReactNode, type UIEvent, useEffect, useLayoutEffect, useRef } from 'react'
import {
  Cell,
  Collection,
  Column,
  type Key,
  type Selection as Keys,
  Row,
  type SortDescriptor,
  Table,
  TableBody,
  TableHeader,
  TableLayout,
  TableLoadMoreItem,
  Virtualizer,
} from 'react-aria-components'
import type { User } from '../api/directory.ts'
import { isSingleKey } from '../shell/shortcuts.ts'
import { SelectionBox } from '../ui/selection-box.tsx'
import { type ColumnId, columns } from './columns.tsx'
import type { Selection } from './selection.ts'
import { type PageParam, pageSize } from './users-query.ts'

type Props = {
  users: User[]
  columnIds: ColumnId[]
  sort: string
  onSort: (sort: string) => void
  /** Undefined where the person may not change users. */
  selection: Selection | undefined
  onSelect: (selection: Selection) => void
  /** The places of the held pages. */
  places: readonly PageParam[]
  /** The last row stands for them. It stays while they load, because a list that shrinks would jump. */
  hasMore: boolean
  onLoadMore: () => void
  /** Called near the first held user. */
  onLoadPrevious: () => void
  emptyState: ReactNode
}

const rowHeight = 36
const layoutOptions = { rowHeight, headingHeight: 34, loaderHeight: 36 }
const boxWidth = 40

export function UsersTable(props: Props) {
  const { users, columnIds, selection } = props
  const shown = columnIds.map((id) => ({ id, ...columns[id] }))
  const select = (keys: Keys) =>
    props.onSelect(keys === 'all' ? new Set(users.map(({ id }) => id)) : new Set([...keys].map(String)))

  const frame = useSteadyScroll(props.places)
  const followScroll = ({ target }: UIEvent<HTMLElement>) => {
    if (!(target instanceof HTMLElement)) return
    scrolledTo.set(props.places, target.scrollTop)
    if (target.scrollTop < 10 * rowHeight) props.onLoadPrevious()
  }

  return (
    // The keys j and k move like the arrows. The grid inside has the role and the focus.
    <div
      ref={frame}
      onKeyDownCapture={moveByLetters}
      onScrollCapture={followScroll}
      className="flex flex-[1_0_20rem] flex-col overflow-hidden"
    >
      <Virtualizer layout={TableLayout} layoutOptions={layoutOptions}>
        <Table
          aria-label="Users"
          className="flex-[1_0_0] overflow-auto border-t border-line"
          selectionMode={selection ? 'multiple' : 'none'}
          {...(selection && { selectedKeys: selection })}
          onSelectionChange={select}
          sortDescriptor={toDescriptor(props.sort)}
          onSortChange={(descriptor) => props.onSort(fromDescriptor(descriptor))}
        >
          <TableHeader className="bg-raised">
            {selection ? (
              <Column
                id="box"
                width={boxWidth}
                minWidth={boxWidth}
                className="flex h-full items-center border-b border-line ps-3"
              >
                <SelectionBox label="Select all loaded users" />
              </Column>
            ) : null}
            {shown.map(({ id, title, isSortable, width }) => (
              <Column
                key={id}
                id={id}
                isRowHeader={id === 'username'}
                allowsSorting={isSortable}
                minWidth={width}
                className="flex h-full items-center gap-1 truncate border-b border-line px-2 text-start font-medium text-muted"
              >
                {({ sortDirection, allowsSorting }) => (
                  <>
                    {title}
                    {allowsSorting && (
                      <span aria-hidden="true">
                        {sortDirection === 'ascending' ? '▲' : sortDirection === 'descending' ? '▼' : '↕'}
                      </span>
                    )}
                  </>
                )}
              </Column>
            ))}
          </TableHeader>
          <TableBody renderEmptyState={() => props.emptyState}>
            <Collection items={users} dependencies={[columnIds.join()]}>
              {(user) => (
                <Row
                  id={user.id}
                  href={`/users/${user.id}`}
                  textValue={user.username}
                  className="cursor-default border-b border-line hover:bg-hover selected:bg-chosen -outline-offset-2"
                >
                  {selection ? (
                    <Cell className="flex h-full items-center ps-3">
                      <SelectionBox label={`Select ${user.username}`} />
                    </Cell>
                  ) : null}
                  {shown.map(({ id, cell }) => (
                    <Cell
                      key={id}
                      className="flex h-full items-center gap-1 overflow-hidden px-2 whitespace-nowrap"
                    >
                      {cell(user)}
                    </Cell>
                  ))}
                </Row>
              )}
            </Collection>
            <TableLoadMoreItem ref={withoutLevel} isLoading={props.hasMore} onLoadMore={props.onLoadMore}>
              <div className="skeleton mx-3 my-2 h-5" />
            </TableLoadMoreItem>
          </TableBody>
        </Table>
      </Virtualizer>
    </div>
  )
}

/** Where the held lists were scrolled to, for a way back from a user. */
const scrolledTo = new WeakMap<readonly PageParam[], number>()

/** Keeps the visible users in place when pages above them come or go. Another list begins at its top. */
function useSteadyScroll(places: readonly PageParam[]) {
  const frame = useRef<HTMLDivElement>(null)
  const before = useRef(places)
  // The grid knows its height one frame after it is mounted.
  useEffect(() => {
    const frameId = requestAnimationFrame(() => {
      const grid = frame.current?.querySelector('[role=grid]')
      const top = scrolledTo.get(before.current)
      if (grid && top !== undefined) grid.scrollTop = top
    })
    return () => cancelAnimationFrame(frameId)
  }, [])
  useLayoutEffect(() => {
    const grid = frame.current?.querySelector('[role=grid]')
    const old = before.current
    before.current = places
    const [first] = places
    if (!grid || !first || old === places) return
    scrolledTo.set(places, grid.scrollTop)
    if (old[0] === first) return
    const isSameList = places.some((place) => old.includes(place))
    const rows = ((old[0]?.index ?? 0) - first.index) * pageSize
    grid.scrollTop = isSameList ? grid.scrollTop + rows * rowHeight : 0
  }, [places])
  return frame
}

/** React Aria gives the row a level, which ARIA allows in tree grids alone. */
function withoutLevel(row: HTMLElement | null): void {
  row?.removeAttribute('aria-level')
}

function toDescriptor(sort: string): SortDescriptor {
  return sort.startsWith('-')
    ? { column: sort.slice(1), direction: 'descending' }
    : { column: sort, direction: 'ascending' }
}

function fromDescriptor({ column, direction }: { column: Key; direction: string }): string {
  return direction === 'descending' ? `-${column}` : String(column)
}

function moveByLetters(event: KeyboardEvent): void {
  const key = { j: 'ArrowDown', k: 'ArrowUp' }[event.key]
  if (key === undefined || !isSingleKey(event)) return
  event.preventDefault()
  event.stopPropagation()
  event.target.dispatchEvent(new window.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
}
