// Asks the person to sign in again in another tab, so that this one keeps its unsaved input.
import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useEffect, useState } from 'react'
import { sessionQuery, signInAddress } from '../api/session.ts'
import { sessionEnd } from '../api/session-end.ts'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogButtons } from '../ui/dialog.tsx'
import { describeError } from '../ui/problem-notice.tsx'
import { showToast } from '../ui/toasts.tsx'

export default function SignInAgain({ username }: { username: string }) {
  const queryClient = useQueryClient()
  const [message, setMessage] = useState<string>()
  const check = useCallback(async () => {
    try {
      await queryClient.fetchQuery({ ...sessionQuery, staleTime: 0 })
      sessionEnd.set(false)
      showToast('You are signed in again.')
      await queryClient.invalidateQueries()
    } catch (error) {
      setMessage(describeError(error).detail)
    }
  }, [queryClient])

  useEffect(() => {
    const checkSilently = () => void check()
    window.addEventListener('focus', checkSilently)
    return () => window.removeEventListener('focus', checkSilently)
  }, [check])

  return (
    <Dialog title="Your session has ended" onClose={() => {}} mustDecide>
      <p>
        Sign in again as <bdi className="font-medium">{username}</bdi> in another tab, then return to this
        one. Your input here is kept.
      </p>
      {message !== undefined && (
        <p role="alert" className="text-danger">
          {message}
        </p>
      )}
      <DialogButtons>
        <a
          href={signInAddress('/console/signed-in')}
          target="_blank"
          rel="noopener"
          className="inline-flex min-h-8 items-center rounded-md bg-accent px-3 font-medium text-on-accent"
        >
          Sign in in a new tab
        </a>
        <Button onPress={() => void check()}>I have signed in</Button>
      </DialogButtons>
    </Dialog>
  )
}
