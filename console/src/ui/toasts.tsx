// Short messages that screen readers announce. They stay until they are closed or new ones push them out.
import { useSyncExternalStore } from 'react'
import { Button } from './button.tsx'

type Toast = { id: number; text: string; action?: { text: string; run: () => void } }

const toastsMax = 3
let toasts: readonly Toast[] = []
let lastId = 0
const listeners = new Set<() => void>()

function set(next: readonly Toast[]): void {
  toasts = next
  for (const listener of listeners) listener()
}

export function showToast(text: string, action?: Toast['action']): void {
  set([...toasts, { id: ++lastId, text, ...(action && { action }) }].slice(-toastsMax))
}

const close = (id: number) => set(toasts.filter((toast) => toast.id !== id))

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => toasts,
  )
  return (
    // At the end of the page they have a place of their own, so that they hide nothing there.
    <div
      role="status"
      className="sticky bottom-0 z-10 flex max-w-md flex-col gap-2 self-end px-4 not-empty:pb-4"
    >
      {shown.map(({ id, text, action }) => (
        <div
          key={id}
          className="flex items-center gap-2 rounded-md border border-control bg-raised py-1.5 ps-3 pe-1.5 shadow-lg"
        >
          <span className="line-clamp-3 min-w-0 flex-1 wrap-anywhere">{text}</span>
          {action && (
            <Button
              onPress={() => {
                close(id)
                action.run()
              }}
            >
              {action.text}
            </Button>
          )}
          <Button look="quiet" aria-label="Close the message" onPress={() => close(id)}>
            ✕
          </Button>
        </div>
      ))}
    </div>
  )
}
