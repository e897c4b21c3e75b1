// Does one thing to many users, a few at a time, and tells the outcome of each.
import type { User } from '../api/directory.ts'
import { describeError } from '../ui/problem-notice.tsx'

export type Outcome = {
  user: User
  state: 'waiting' | 'done' | 'unchanged' | 'failed'
  message?: string
  /** After the change. */
  changed?: User
}

/** @returns the changed user; 'unchanged' if there was nothing to do; undefined if it was erased */
export type Work = (user: User, signal: AbortSignal) => Promise<User | 'unchanged' | undefined>

const concurrency = 4

/**
 * Stops between users when the signal aborts, so that each one is either done or untouched.
 * @param onProgress gets all outcomes after each user
 */
export async function runForEach(
  { users, work, signal }: { users: readonly User[]; work: Work; signal: AbortSignal },
  onProgress: (outcomes: readonly Outcome[]) => void,
): Promise<void> {
  const outcomes: Outcome[] = users.map((user) => ({ user, state: 'waiting' }))
  onProgress([...outcomes])
  let next = 0
  const takeTurns = async () => {
    while (next < users.length && !signal.aborted) {
      const index = next++
      const user = users[index]
      if (user) outcomes[index] = await attempt(user, work, signal)
      onProgress([...outcomes])
    }
  }
  await Promise.all(Array.from({ length: concurrency }, takeTurns))
}

async function attempt(user: User, work: Work, signal: AbortSignal): Promise<Outcome> {
  try {
    const changed = await work(user, signal)
    if (changed === 'unchanged') return { user, state: 'unchanged' }
    return { user, state: 'done', ...(changed && { changed }) }
  } catch (error) {
    return { user, state: 'failed', message: describeError(error).detail }
  }
}
