// Asks before unsaved input is lost, here and when the tab closes.
import { useBlocker } from '@tanstack/react-router'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'

/** @param props.isUnsaved is read at the moment of leaving */
export function UnsavedGuard({ isUnsaved }: { isUnsaved: () => boolean }) {
  const blocker = useBlocker({
    shouldBlockFn: isUnsaved,
    enableBeforeUnload: isUnsaved,
    withResolver: true,
  })
  if (blocker.status !== 'blocked') return null
  return (
    <Dialog title="Leave without saving?" onClose={blocker.reset} mustDecide>
      <p>Your changes have not been saved.</p>
      <DialogButtons>
        <Button look="danger" onPress={blocker.proceed}>
          Discard the changes
        </Button>
        <Button look="primary" onPress={blocker.reset}>
          Stay
        </Button>
      </DialogButtons>
    </Dialog>
  )
}
