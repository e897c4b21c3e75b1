// A button that opens a menu. The menu's code loads when the button is first pressed.
import { type ReactNode, type RefObject, Suspense, useRef, useState } from 'react'
import { Button } from './button.tsx'

/** @param props of React Aria's Popover */
export type MenuProps = {
  triggerRef: RefObject<HTMLElement | null>
  onClose: () => void
}

export function MenuButton({ text, children }: { text: string; children: (menu: MenuProps) => ReactNode }) {
  const triggerRef = useRef<HTMLButtonElement>(null)
  const [isOpen, setIsOpen] = useState(false)
  return (
    <>
      <Button ref={triggerRef} aria-haspopup="menu" aria-expanded={isOpen} onPress={() => setIsOpen(true)}>
        {text}
      </Button>
      <Suspense>{isOpen && children({ triggerRef, onClose: () => setIsOpen(false) })}</Suspense>
    </>
  )
}
