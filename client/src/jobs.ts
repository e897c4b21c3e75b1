// Follows a job until it has ended.
import type { operations } from './api-types.ts'
import type { CallOptions } from './connection.ts'
import { pause } from './send.ts'

export type Job = operations['getImport']['responses'][200]['content']['application/json']

const pollMs = 1_000
const ended = new Set<Job['state']>(['done', 'failed', 'cancelled'])

/** @returns whether the job's state is final */
export function hasEnded({ state }: Job): boolean {
  return ended.has(state)
}

/** Yields the job about each second, the last time after its end. */
export async function* follow(
  read: () => Promise<Job>,
  { signal }: CallOptions,
): AsyncGenerator<Job, void, undefined> {
  for (;;) {
    const job = await read()
    yield job
    if (hasEnded(job)) return
    await pause(pollMs, signal)
  }
}
