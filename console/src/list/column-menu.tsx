// Chooses the columns of the list.
import { Menu, MenuItem } from 'react-aria-components'
import type { MenuProps } from '../ui/menu-button.tsx'
import { MenuPopover, menuItemLook } from '../ui/menu-popover.tsx'
import { type ColumnId, columnIds, columns } from './columns.tsx'

type Props = { menu: MenuProps; shown: readonly ColumnId[]; onChange: (ids: ColumnId[]) => void }

export default function ColumnMenu({ menu, shown, onChange }: Props) {
  return (
    <MenuPopover {...menu}>
      <Menu
        aria-label="Columns"
        autoFocus="first"
        selectionMode="multiple"
        selectedKeys={shown}
        disabledKeys={['username']}
        onClose={menu.onClose}
        onSelectionChange={(keys) => onChange(columnIds.filter((id) => keys === 'all' || keys.has(id)))}
      >
        {columnIds.map((id) => (
          <MenuItem key={id} id={id} textValue={columns[id].title} className={`flex gap-2 ${menuItemLook}`}>
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
    </MenuPopover>
  )
}
