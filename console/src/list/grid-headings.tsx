// The headings of the grid: they sort, and select the loaded users.
import { type ColumnId, columns } from './columns.tsx'

type Props = {
  columnIds: readonly ColumnId[]
  sort: string
  onSort: (sort: string) => void
  /** Undefined where the person may not change users. */
  selected: 'none' | 'some' | 'all' | undefined
  onSelectAll: (isSelected: boolean) => void
  /** Without rows, the tab key leads to the headings. */
  tabIndex: 0 | -1
}

export function GridHeadings({ columnIds, sort, onSort, selected, onSelectAll, tabIndex }: Props) {
  return (
    <div role="rowgroup" className="sticky top-0 z-1">
      <div
        role="row"
        aria-rowindex={1}
        tabIndex={-1}
        data-headings
        className="grid h-[34px] grid-cols-(--columns) border-b border-line bg-raised font-medium text-muted outline-none"
      >
        {selected !== undefined && (
          <div role="columnheader" className="flex items-center justify-center">
            <input
              type="checkbox"
              tabIndex={tabIndex}
              aria-label="Select all loaded users"
              className="size-4 accent-accent"
              checked={selected === 'all'}
              ref={(box) => {
                if (box) box.indeterminate = selected === 'some'
              }}
              onChange={({ target }) => onSelectAll(target.checked)}
            />
          </div>
        )}
        {columnIds.map((id) => (
          <Heading key={id} id={id} sort={sort} onSort={onSort} tabIndex={tabIndex} />
        ))}
      </div>
    </div>
  )
}

type HeadingProps = Pick<Props, 'sort' | 'onSort' | 'tabIndex'> & { id: ColumnId }

function Heading({ id, sort, onSort, tabIndex }: HeadingProps) {
  const { title, isSortable } = columns[id]
  if (!isSortable)
    return (
      <div role="columnheader" className="truncate px-2 leading-[34px]">
        {title}
      </div>
    )
  const direction = sort === id ? 'ascending' : sort === `-${id}` ? 'descending' : 'none'
  return (
    <div role="columnheader" aria-sort={direction} className="flex">
      <button
        type="button"
        tabIndex={tabIndex}
        className="flex flex-1 cursor-default items-center gap-1 truncate px-2 -outline-offset-2 hover:bg-hover"
        onClick={() => onSort(direction === 'ascending' ? `-${id}` : id)}
      >
        {title}
        <span aria-hidden="true">{{ ascending: '▲', descending: '▼', none: '↕' }[direction]}</span>
      </button>
    </div>
  )
}
