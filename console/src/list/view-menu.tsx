// Opens a saved view, and leads to saving and removing views.
import { Menu, MenuItem, Separator } from 'react-aria-components'
import type { MenuProps } from '../ui/menu-button.tsx'
import { MenuPopover, menuItemLook } from '../ui/menu-popover.tsx'
import type { ListAddress } from './address.ts'
import type { View } from './views.ts'

type Props = {
  menu: MenuProps
  views: readonly View[]
  onOpen: (address: ListAddress) => void
  onDialog: (dialog: 'save' | 'remove') => void
}

export default function ViewMenu({ menu, views, onOpen, onDialog }: Props) {
  return (
    <MenuPopover {...menu}>
      <Menu aria-label="Views" autoFocus="first" onClose={menu.onClose} className="max-h-80 overflow-y-auto">
        {views.map((view) => (
          <MenuItem
            key={view.name}
            textValue={view.name}
            className={menuItemLook}
            onAction={() => onOpen(view.address)}
          >
            <bdi>{view.name}</bdi>
          </MenuItem>
        ))}
        {views.length > 0 && <Separator className="my-1 border-t border-line" />}
        <MenuItem className={menuItemLook} onAction={() => onDialog('save')}>
          Save this view…
        </MenuItem>
        {views.length > 0 && (
          <MenuItem className={menuItemLook} onAction={() => onDialog('remove')}>
            Remove a view…
          </MenuItem>
        )}
      </Menu>
    </MenuPopover>
  )
}
