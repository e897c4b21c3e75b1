// Says that the browser is offline.
import { useSyncExternalStore } from 'react'

function subscribe(listener: () => void): () => void {
  window.addEventListener('online', listener)
  window.addEventListener('offline', listener)
  return () => {
    window.removeEventListener('online', listener)
    window.removeEventListener('offline', listener)
  }
}

export function ConnectionBanner() {
  const isOnline = useSyncExternalStore(subscribe, () => navigator.onLine)
  return (
    <div role="status">
      {!isOnline && (
        <p className="border-b border-danger px-4 py-1.5 text-danger">
          You are offline. The page shows what was loaded last; changes cannot be saved until you are back.
        </p>
      )}
    </div>
  )
}
