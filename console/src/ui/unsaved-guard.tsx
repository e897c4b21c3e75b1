// Asks before unsaved input is lost, here and when the tab closes.
import { useBlocker } from '@tanstack/react-router'
import { DiscardDialog } from './dialog.tsx'

/** @param props.isUnsaved is read at the moment of leaving */
export function UnsavedGuard({ isUnsaved }: { isUnsaved: () => boolean }) {
  const blocker = useBlocker({
    shouldBlockFn: isUnsaved,
    enableBeforeUnload: isUnsaved,
    withResolver: true,
  })
  if (blocker.status !== 'blocked') return null
  return <DiscardDialog onDiscard={blocker.proceed} onStay={blocker.reset} />
}
