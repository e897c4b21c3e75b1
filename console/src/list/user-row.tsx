// One user in the grid. The grid handles its clicks and keys, so that rows are cheap to render.
import { memo, type Ref } from 'react'
import type { User } from '../api/directory.ts'
import { type ColumnId, columns } from './columns.tsx'
import { rowHeight } from './row-range.ts'

type Props = {
  user: User
  columnIds: readonly ColumnId[]
  /** Among the held users. */
  index: number
  /** In the whole list, where the headings are row 1. */
  rowNumber: number
  /** The tab key leads to this row. */
  isActive: boolean
  /** Undefined where the person may not change users. */
  isSelected: boolean | undefined
  ref: Ref<HTMLDivElement> | undefined
}

export const UserRow = memo(function UserRow({ user, columnIds, index, rowNumber, ...props }: Props) {
  const { isActive, isSelected, ref } = props
  return (
    <div
      ref={ref}
      role="row"
      aria-rowindex={rowNumber}
      aria-selected={isSelected}
      data-index={index}
      tabIndex={isActive ? 0 : -1}
      style={{ top: index * rowHeight, height: rowHeight }}
      className={`absolute inset-x-0 grid cursor-default grid-cols-(--columns) border-b border-line -outline-offset-2 ${
        isSelected ? 'bg-chosen' : 'hover:bg-hover'
      }`}
    >
      {isSelected !== undefined && (
        <div role="gridcell" data-box className="flex items-center justify-center">
          <input
            type="checkbox"
            tabIndex={-1}
            readOnly
            checked={isSelected}
            aria-label={`Select ${user.username}`}
            className="size-4 accent-accent"
          />
        </div>
      )}
      {columnIds.map((id) => (
        <div
          key={id}
          role={id === 'username' ? 'rowheader' : 'gridcell'}
          className="flex items-center gap-1 overflow-hidden px-2 whitespace-nowrap"
        >
          {columns[id].cell(user)}
        </div>
      ))}
    </div>
  )
})
