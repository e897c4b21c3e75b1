// A modal dialog with a title. It closes with Escape, unless the person must decide.
import type { ReactNode } from 'react'
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from 'react-aria-components'

type DialogProps = {
  title: string
  onClose: () => void
  children: ReactNode
  isWide?: boolean
  /** Escape and a press outside do not close it. */
  mustDecide?: boolean
}

export function Dialog({ title, onClose, children, isWide = false, mustDecide = false }: DialogProps) {
  return (
    <ModalOverlay
      isOpen
      onOpenChange={(isOpen) => {
        if (!isOpen) onClose()
      }}
      isDismissable={!mustDecide}
      isKeyboardDismissDisabled={mustDecide}
      className="fixed inset-0 z-20 flex items-start justify-center overflow-y-auto bg-veil p-4 sm:pt-[10vh]"
    >
      <Modal
        className={`w-full rounded-lg border border-line bg-surface shadow-xl ${isWide ? 'max-w-3xl' : 'max-w-md'}`}
      >
        <AriaDialog role={mustDecide ? 'alertdialog' : 'dialog'} className="flex flex-col gap-3 p-4">
          <Heading slot="title" level={2} className="text-base wrap-anywhere">
            {title}
          </Heading>
          {children}
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  )
}

export function DialogButtons({ children }: { children: ReactNode }) {
  return <div className="flex flex-wrap justify-end gap-2 pt-1">{children}</div>
}
