// The first page of a person who is not signed in.
import { useLocation } from '@tanstack/react-router'
import { signInAddress } from '../api/session.ts'

export function SignIn() {
  const { href } = useLocation()
  return (
    <main className="mx-auto flex max-w-sm flex-col items-start gap-3 px-4 pt-[15vh]">
      <h1>User directory</h1>
      <p className="text-muted">For administrators and readers.</p>
      <a
        href={signInAddress(`/console${href}`)}
        className="rounded-md bg-accent px-4 py-2 font-medium text-on-accent"
      >
        Sign in
      </a>
    </main>
  )
}
