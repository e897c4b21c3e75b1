// The frame of every screen: sign-in state, navigation, keys, messages.
import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useRouter } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { ProblemError } from '../api/directory.ts'
import { type Session, sessionQuery, signOut } from '../api/session.ts'
import { useSessionEnd } from '../api/session-end.ts'
import { Button } from '../ui/button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { Toasts } from '../ui/toasts.tsx'
import { ConnectionBanner } from './connection-banner.tsx'
import { useShortcuts } from './shortcuts.ts'
import { SignIn } from './sign-in.tsx'

const CommandPalette = lazy(() => import('./command-palette.tsx'))
const KeysDialog = lazy(() => import('./keys-dialog.tsx'))
const SignInAgain = lazy(() => import('./sign-in-again.tsx'))

export function Shell() {
  const session = useQuery(sessionQuery)
  // A session that ends later keeps its screen, and with it unsaved input.
  if (session.data) return <SignedIn session={session.data} />
  if (session.error instanceof ProblemError && session.error.status === 401) return <SignIn />
  if (session.error)
    return (
      <main className="mx-auto max-w-xl p-4">
        <ProblemNotice error={session.error} onRetry={() => void session.refetch()} />
      </main>
    )
  return <Pending />
}

function SignedIn({ session }: { session: Session }) {
  const router = useRouter()
  const [dialog, setDialog] = useState<'palette' | 'keys'>()
  const hasEnded = useSessionEnd()
  useShortcuts({
    palette: () => setDialog('palette'),
    keys: () => setDialog('keys'),
    search: () => focusSearch(router),
  })
  const close = () => setDialog(undefined)
  return (
    <>
      <a
        href="#main"
        className="absolute start-2 -top-20 z-20 rounded-md bg-accent px-3 py-2 text-on-accent focus:top-2"
      >
        Skip to the content
      </a>
      <div className="flex min-h-dvh flex-col">
        <TopBar session={session} onPalette={() => setDialog('palette')} onKeys={() => setDialog('keys')} />
        <ConnectionBanner />
        <main id="main" tabIndex={-1} className="flex flex-1 flex-col outline-none">
          {session.user.role === null ? <NoRole session={session} /> : <Outlet />}
        </main>
        <Toasts />
      </div>
      <Suspense>
        {dialog === 'palette' && <CommandPalette onClose={close} onKeys={() => setDialog('keys')} />}
        {dialog === 'keys' && <KeysDialog onClose={close} />}
        {hasEnded && <SignInAgain username={session.user.username} />}
      </Suspense>
    </>
  )
}

type TopBarProps = { session: Session; onPalette: () => void; onKeys: () => void }

function TopBar({ session: { user }, onPalette, onKeys }: TopBarProps) {
  const [error, setError] = useState<unknown>()
  return (
    <header className="border-b border-line bg-raised px-3 py-1.5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <span className="font-semibold">User directory</span>
        <nav aria-label="Screens" className="flex flex-wrap">
          {user.role !== null && <NavLink to="/users">Users</NavLink>}
          {user.role === 'admin' && <NavLink to="/imports">Import</NavLink>}
          {user.role !== null && <NavLink to="/service-health">Health</NavLink>}
        </nav>
        <span className="flex-1" />
        <Button look="quiet" onPress={onPalette}>
          Commands <kbd>{paletteKey}</kbd>
        </Button>
        <Button look="quiet" onPress={onKeys}>
          Keys <kbd>?</kbd>
        </Button>
        <span className="text-muted">
          <bdi>{user.username}</bdi>
          {user.role !== null && ` (${roleText[user.role]})`}
        </span>
        <Button look="quiet" onPress={() => void signOut().catch(setError)}>
          Sign out
        </Button>
      </div>
      {error !== undefined && <ProblemNotice error={error} />}
    </header>
  )
}

/** Padding, because a margin would move the page when it goes. */
export function Pending() {
  return (
    <div aria-hidden="true" className="p-4">
      <div className="skeleton h-40" />
    </div>
  )
}

const roleText = { admin: 'administrator', reader: 'reader' }
const paletteKey = /Mac|iP(hone|ad)/.test(navigator.platform) ? '⌘K' : 'Ctrl K'

function NavLink({ to, children }: { to: '/users' | '/imports' | '/service-health'; children: string }) {
  return (
    <Link
      to={to}
      className="rounded-md px-2 py-1 hover:bg-hover aria-[current=page]:bg-chosen aria-[current=page]:font-medium"
    >
      {children}
    </Link>
  )
}

function focusSearch(router: ReturnType<typeof useRouter>): void {
  const field = () => document.querySelector<HTMLInputElement>('input[type=search]')
  const shown = field()
  if (shown) shown.focus()
  else void router.navigate({ to: '/users' }).then(() => requestAnimationFrame(() => field()?.focus()))
}

function NoRole({ session }: { session: Session }) {
  return (
    <div className="mx-auto flex max-w-xl flex-col gap-2 p-6">
      <h1>You have no role in this directory</h1>
      <p>
        You are signed in as <bdi className="font-medium">{session.user.username}</bdi>, but the console is
        for administrators and readers. Ask an administrator to add you to the group <code>admins</code> or{' '}
        <code>readers</code>, then sign in again.
      </p>
    </div>
  )
}

export function NotFound() {
  return (
    <div className="mx-auto flex max-w-xl flex-col items-start gap-2 p-6">
      <h1>This page does not exist</h1>
      <Link to="/users" className="text-accent underline">
        Go to the list of users
      </Link>
    </div>
  )
}
