// A modal dialog with a title. Escape or a press outside closes it, unless the person must decide. It asks before input is lost.
import { createContext, type ReactNode, type RefObject, useContext, useEffect, useRef, useState } from 'react'
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from 'react-aria-components'
import { Button } from './button.tsx'

type DialogProps = {
  title: string
  onClose: () => void
  children: ReactNode
  isWide?: boolean
  /** Escape and a press outside do not close it. */
  mustDecide?: boolean
}

const UnsavedContext = createContext<RefObject<boolean> | undefined>(undefined)

export function Dialog({ title, onClose, children, isWide = false, mustDecide = false }: DialogProps) {
  const isUnsaved = useRef(false)
  const [isAsking, setIsAsking] = useState(false)
  return (
    <ModalOverlay
      isOpen
      onOpenChange={(isOpen) => {
        if (isOpen) return
        if (isUnsaved.current) setIsAsking(true)
        else onClose()
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
          <UnsavedContext value={isUnsaved}>{children}</UnsavedContext>
        </AriaDialog>
        {isAsking && <DiscardDialog onDiscard={onClose} onStay={() => setIsAsking(false)} />}
      </Modal>
    </ModalOverlay>
  )
}

/** Marks whether the dialog around it holds input that its closing would lose. */
export function UnsavedInput({ isUnsaved }: { isUnsaved: boolean }) {
  const ofDialog = useContext(UnsavedContext)
  useEffect(() => {
    if (!ofDialog) return
    ofDialog.current = isUnsaved
    return () => {
      ofDialog.current = false
    }
  }, [ofDialog, isUnsaved])
  return null
}

/** Asks before input is lost. */
export function DiscardDialog({ onDiscard, onStay }: { onDiscard: () => void; onStay: () => void }) {
  return (
    <Dialog title="Leave without saving?" onClose={onStay} mustDecide>
      <p>Your changes have not been saved.</p>
      <DialogButtons>
        <Button look="danger" onPress={onDiscard}>
          Discard the changes
        </Button>
        <Button look="primary" onPress={onStay}>
          Stay
        </Button>
      </DialogButtons>
    </Dialog>
  )
}

export function DialogButtons({ children }: { children: ReactNode }) {
  return <div className="flex flex-wrap justify-end gap-2 pt-1">{children}</div>
}
