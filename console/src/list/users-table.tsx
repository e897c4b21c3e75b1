// The grid of users. Only the visible rows are in the document, placed by their index. A table element cannot place rows, so
// the parts have ARIA roles.
import { useNavigate } from '@tanstack/react-router'
import {
  type CSSProperties,
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react'
import { flushSync } from 'react-dom'
import type { User } from '../api/directory.ts'
import { type ColumnId, columns } from './columns.tsx'
import { GridHeadings } from './grid-headings.tsx'
import { keyOf, moveInHeadings } from './grid-keys.ts'
import { rowAfter } from './row-after.ts'
import { rowHeight, useRowRange } from './row-range.ts'
import { extended, type Selection, toggled } from './selected-ids.ts'
import { useSteadyScroll } from './steady-scroll.ts'
import { UserRow } from './user-row.tsx'
import { type PageParam, pageSize } from './users-query.ts'

type Props = {
  users: User[]
  columnIds: readonly ColumnId[]
  sort: string
  onSort: (sort: string) => void
  /** Undefined where the person may not change users. */
  selection: Selection | undefined
  onSelect: (selection: Selection) => void
  /** The places of the held pages. */
  places: readonly PageParam[]
  hasMore: boolean
  /** Called near the last held user, again and again. */
  onLoadMore: () => void
  /** Called near the first held user. */
  onLoadPrevious: () => void
  emptyState: ReactNode
}

const headingHeight = 34
const boxWidth = 40
const rowsAhead = 8

export function UsersTable(props: Props) {
  const { users, columnIds, selection, places, onSelect } = props
  const navigate = useNavigate()
  const grid = useRef<HTMLDivElement>(null)
  const [range, updateRange] = useRowRange(grid)
  const keepScroll = useSteadyScroll(grid, places, updateRange)
  const ids = useMemo(() => users.map(({ id }) => id), [users])
  const [activeId, setActiveId] = useState<string>()
  const active = Math.max(0, activeId === undefined ? 0 : ids.indexOf(activeId))
  const activeRow = useRef<HTMLDivElement>(null)
  const anchor = useRef<string>(undefined)
  const usersBefore = (places[0]?.index ?? 0) * pageSize

  useEffect(() => {
    if (props.hasMore && range.end + rowsAhead > users.length) props.onLoadMore()
  })

  const focusRow = (index: number) => {
    flushSync(() => setActiveId(ids[index]))
    activeRow.current?.focus({ preventScroll: true })
  }
  const showRow = (index: number) => {
    const { current } = grid
    if (!current) return
    const top = index * rowHeight
    const bottom = top + rowHeight - (current.clientHeight - headingHeight)
    current.scrollTop = Math.max(bottom, Math.min(top, current.scrollTop))
  }
  const toggle = (index: number) => {
    if (!selection || ids[index] === undefined) return
    anchor.current = ids[index]
    onSelect(toggled(selection, ids, ids[index]))
  }
  const extend = (to: number) => {
    if (!selection) return
    const known = anchor.current === undefined ? -1 : ids.indexOf(anchor.current)
    const from = known < 0 ? active : known
    anchor.current = ids[from]
    onSelect(extended(selection, ids, { anchor: from, from: active, to }))
  }
  const open = (index: number) => {
    const userId = ids[index]
    if (userId !== undefined) void navigate({ to: '/users/$userId', params: { userId } })
  }

  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const { target, shiftKey } = event
    if (event.altKey || !(target instanceof HTMLElement)) return
    const key = keyOf(event)
    const headings = target.closest('[data-headings]')
    if (headings && moveInHeadings(key, controlsOf(headings))) return event.preventDefault()
    const visibleRows = Math.floor(((grid.current?.clientHeight ?? 0) - headingHeight) / rowHeight)
    const to = headings
      ? { ArrowDown: active }[key]
      : rowAfter(key, { index: active, count: ids.length, visibleRows })
    if (to !== undefined) {
      event.preventDefault()
      if (to < 0) return controlsOf(grid.current)[0]?.focus()
      if (shiftKey && !headings) extend(to)
      showRow(to)
      return focusRow(to)
    }
    const hasCommandKey = event.ctrlKey || event.metaKey
    const action = {
      Enter: headings || hasCommandKey ? undefined : () => open(active),
      ' ': headings || !selection ? undefined : () => (shiftKey ? extend(active) : toggle(active)),
      a: hasCommandKey && selection ? () => onSelect(new Set(ids)) : undefined,
      Escape: selection ? () => onSelect(new Set()) : undefined,
    }[key]
    if (!action) return
    event.preventDefault()
    action()
  }

  const onClick = (event: MouseEvent<HTMLElement>) => {
    const { index, isBox } = placeOf(event)
    // A link opens in a tab of its own, and a text stays selected for copying.
    if (index === undefined || event.ctrlKey || event.metaKey || getSelection()?.type === 'Range') return
    if (!isBox) event.preventDefault()
    if (selection && event.shiftKey) extend(index)
    else if (selection && (isBox || selection === 'all' || selection.size > 0)) toggle(index)
    else open(index)
    focusRow(index)
  }

  const isRendered = (index: number) => index === active || (index >= range.first && index < range.end)
  const template = `${selection ? `${boxWidth}px ` : ''}${columnIds.map((id) => `minmax(${columns[id].width}px, 1fr)`).join(' ')}`
  const width = columnIds.reduce((sum, id) => sum + columns[id].width, selection ? boxWidth : 0)
  const lastRow = usersBefore + users.length + 1
  return (
    <div className="flex flex-[1_0_20rem] flex-col overflow-hidden">
      <div
        ref={grid}
        role="grid"
        aria-label="Users"
        aria-rowcount={props.hasMore ? -1 : lastRow}
        aria-multiselectable={selection !== undefined}
        tabIndex={-1}
        className={`overflow-auto border-t border-line outline-none [overflow-anchor:none] ${users.length > 0 ? 'flex-[1_0_0]' : ''}`}
        style={{ '--columns': template } as CSSProperties}
        onKeyDown={onKeyDown}
        onClick={onClick}
        onMouseDown={(event) => {
          // The row keeps the focus, and no text is selected.
          if (event.shiftKey || placeOf(event).isBox) event.preventDefault()
        }}
        onFocus={({ target }) => {
          const { index } = placeOf({ target })
          if (index !== undefined) setActiveId(ids[index])
        }}
        onScroll={() => {
          keepScroll()
          updateRange()
          if ((grid.current?.scrollTop ?? 0) < 10 * rowHeight) props.onLoadPrevious()
        }}
      >
        <div style={{ minWidth: width }}>
          <GridHeadings
            columnIds={columnIds}
            sort={props.sort}
            onSort={props.onSort}
            selected={selection && selectedOf(selection, ids)}
            onSelectAll={(isSelected) => onSelect(new Set(isSelected ? ids : []))}
            tabIndex={users.length > 0 ? -1 : 0}
          />
          <div
            role="rowgroup"
            className="relative"
            style={{ height: (users.length + (props.hasMore ? 1 : 0)) * rowHeight }}
          >
            {users.map((user, index) =>
              isRendered(index) ? (
                <UserRow
                  key={user.id}
                  user={user}
                  columnIds={columnIds}
                  index={index}
                  rowNumber={usersBefore + index + 2}
                  isActive={index === active}
                  isSelected={selection && (selection === 'all' || selection.has(user.id))}
                  ref={index === active ? activeRow : undefined}
                />
              ) : null,
            )}
            {props.hasMore && <div aria-hidden="true" className="skeleton absolute inset-x-3 bottom-2 h-5" />}
          </div>
        </div>
      </div>
      {users.length === 0 && props.emptyState}
    </div>
  )
}

function selectedOf(selection: Selection, ids: readonly string[]): 'none' | 'some' | 'all' {
  if (selection === 'all') return 'all'
  if (selection.size === 0) return 'none'
  return ids.every((id) => selection.has(id)) ? 'all' : 'some'
}

function placeOf({ target }: { target: EventTarget }): { index: number | undefined; isBox: boolean } {
  const row = target instanceof Element ? target.closest<HTMLElement>('[data-index]') : null
  const isBox = target instanceof Element && target.closest('[data-box]') !== null
  return { index: row ? Number(row.dataset.index) : undefined, isBox }
}

function controlsOf(parent: Element | null): HTMLElement[] {
  return [...(parent?.querySelectorAll<HTMLElement>('[role=columnheader] :is(button, input)') ?? [])]
}
