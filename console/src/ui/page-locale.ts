// The locale for React Aria. The console speaks English, but a browser may turn the page from right to left, as translators do.
import { useSyncExternalStore } from 'react'

// React Aria takes the direction from the locale. It has no texts in Urdu, so it uses the English ones.
const locales = { ltr: 'en-US', rtl: 'ur-PK' }

export function usePageLocale(): string {
  return useSyncExternalStore(observe, () => locales[document.documentElement.dir === 'rtl' ? 'rtl' : 'ltr'])
}

function observe(changed: () => void): () => void {
  const observer = new MutationObserver(changed)
  observer.observe(document.documentElement, { attributeFilter: ['dir'] })
  return () => observer.disconnect()
}
