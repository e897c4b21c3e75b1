// The console's addresses. Only the list loads with the first screen.
import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router'
import { readAddress } from './list/address.ts'
import { usersQuery } from './list/users-query.ts'
import { UsersScreen } from './list/users-screen.tsx'
import { NotFound, Pending, Shell } from './shell/shell.tsx'
import { ProblemNotice } from './ui/problem-notice.tsx'

const root = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: Shell,
  notFoundComponent: NotFound,
})

const home = createRoute({
  getParentRoute: () => root,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/users' })
  },
})

const users = createRoute({
  getParentRoute: () => root,
  path: '/users',
  validateSearch: readAddress,
  // The first page need not wait until the session is known.
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps }) => void context.queryClient.prefetchInfiniteQuery(usersQuery(deps)),
  component: UsersScreen,
})

const create = createRoute({
  getParentRoute: () => root,
  path: '/users/new',
  component: lazyRouteComponent(() => import('./user/create-screen.tsx')),
})

const user = createRoute({
  getParentRoute: () => root,
  path: '/users/$userId',
  component: lazyRouteComponent(() => import('./user/user-screen.tsx')),
})

const imports = createRoute({
  getParentRoute: () => root,
  path: '/imports',
  component: lazyRouteComponent(() => import('./jobs/imports-screen.tsx')),
})

const oneImport = createRoute({
  getParentRoute: () => root,
  path: '/imports/$jobId',
  component: lazyRouteComponent(() => import('./jobs/import-screen.tsx')),
})

const bulk = createRoute({
  getParentRoute: () => root,
  path: '/bulk/$jobId',
  component: lazyRouteComponent(() => import('./jobs/bulk-screen.tsx')),
})

const health = createRoute({
  getParentRoute: () => root,
  // The backend answers /console/health.
  path: '/service-health',
  component: lazyRouteComponent(() => import('./health/health-screen.tsx')),
})

/** The tab that signed in again for another one leads here. */
const signedIn = createRoute({
  getParentRoute: () => root,
  path: '/signed-in',
  component: () => <p className="p-6">You are signed in. Close this tab and return to the other one.</p>,
})

const routeTree = root.addChildren([home, users, create, user, imports, oneImport, bulk, health, signedIn])

export function createConsoleRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    basepath: '/console',
    defaultPendingComponent: Pending,
    defaultErrorComponent: ({ error, reset }) => (
      <div className="p-4">
        <ProblemNotice error={error} onRetry={reset} />
      </div>
    ),
    parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
    stringifySearch: (values) => {
      const texts = Object.entries(values).filter(
        (entry): entry is [string, string] => typeof entry[1] === 'string',
      )
      return texts.length === 0 ? '' : `?${new URLSearchParams(texts)}`
    },
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>
  }
}
