import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { I18nProvider } from 'react-aria-components'
import { createRoot } from 'react-dom/client'
import { createConsoleRouter } from './router.tsx'
import { usePageLocale } from './ui/page-locale.ts'
import './styles.css'

const queryClient = new QueryClient({
  defaultOptions: {
    // A failure is shown at once, and the person decides whether to try again.
    queries: { retry: false, networkMode: 'always', staleTime: 5_000 },
    mutations: { retry: false, networkMode: 'always' },
  },
})
const router = createConsoleRouter(queryClient)

function Console() {
  return (
    <I18nProvider locale={usePageLocale()}>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </I18nProvider>
  )
}

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no element with the id root.')
createRoot(root).render(
  <StrictMode>
    <Console />
  </StrictMode>,
)
