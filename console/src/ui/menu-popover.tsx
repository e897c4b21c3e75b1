import type { ReactNode } from 'react'
import { Popover } from 'react-aria-components'
import type { MenuProps } from './menu-button.tsx'

export const menuItemLook =
  'min-w-40 cursor-default rounded px-2 py-1 focus:bg-chosen data-disabled:text-muted'

export function MenuPopover({ triggerRef, onClose, children }: MenuProps & { children: ReactNode }) {
  return (
    <Popover
      isOpen
      triggerRef={triggerRef}
      placement="bottom start"
      onOpenChange={(isOpen) => {
        if (!isOpen) onClose()
      }}
      className="rounded-md border border-line bg-surface p-1 shadow-lg"
    >
      {children}
    </Popover>
  )
}
