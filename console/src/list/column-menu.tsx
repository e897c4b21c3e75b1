import { Menu, MenuItem, MenuTrigger, Popover } from 'react-aria-components'
import { Button } from '../ui/button.tsx'
import { type ColumnId, columnIds, columns } from './columns.tsx'

type Props = { shown: ColumnId[]; onChange: (ids: ColumnId[]) => void }

export function ColumnMenu({ shown, onChange }: Props) {
  return (
    <MenuTrigger>
      <Button>Columns</Button>
      <Popover className="rounded-md border border-line bg-surface p-1 shadow-lg">
        <Menu
          aria-label="Columns"
          selectionMode="multiple"
          selectedKeys={shown}
          disabledKeys={['username']}
          onSelectionChange={(keys) => onChange(columnIds.filter((id) => keys === 'all' || keys.has(id)))}
        >
          {columnIds.map((id) => (
            <MenuItem
              key={id}
              id={id}
              textValue={columns[id].title}
              className="flex min-w-40 cursor-default gap-2 rounded px-2 py-1 focus:bg-chosen disabled:text-muted"
            >
              {({ isSelected }) => (
                <>
                  <span aria-hidden="true" className="w-4">
                    {isSelected ? '✓' : ''}
                  </span>
                  {columns[id].title}
                </>
              )}
            </MenuItem>
          ))}
        </Menu>
      </Popover>
    </MenuTrigger>
  )
}
