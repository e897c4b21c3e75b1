// The person's session at the backend.
import { queryOptions, useQuery } from '@tanstack/react-query'
import { problemOf } from '../../../client/src/errors.ts'
import { ConnectionError, consoleHeaders } from './directory.ts'

export type Session = {
  user: { username: string; role: 'admin' | 'reader' | null; user_id: string | null }
  expires_at: string
  idle_expires_at: string
  api: { version: string }
  is_local: boolean
}

const timeoutMs = 15_000

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async ({ signal }) => (await callBackend('/console/session', { signal })) as Session,
  staleTime: 60_000,
})

/** @returns whether the person may change users */
export function useIsAdmin(): boolean {
  return useQuery(sessionQuery).data?.user.role === 'admin'
}

export function signInAddress(returnTo: string): string {
  return `/console/sign-in?return_to=${encodeURIComponent(returnTo)}`
}

/** Ends the session here, and then at the provider where it supports that. */
export async function signOut(): Promise<void> {
  const answer = (await callBackend('/console/sign-out', { method: 'POST' })) as {
    sign_out_url: string | null
  }
  location.assign(answer.sign_out_url ?? '/console/')
}

/** @throws ProblemError, ConnectionError */
export async function callBackend(path: string, init: RequestInit): Promise<unknown> {
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout
  let response: Response
  try {
    response = await fetch(path, { ...init, headers: consoleHeaders, signal })
  } catch (error) {
    init.signal?.throwIfAborted()
    throw new ConnectionError('The server cannot be reached.', { cause: error, isTimeout: timeout.aborted })
  }
  if (!response.ok) throw await problemOf(response)
  return response.json()
}
