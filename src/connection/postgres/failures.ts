// Repeats failed work on PostgreSQL, and makes the errors that callers report.
import { setTimeout as pause } from 'node:timers/promises'
import { ServiceError, unavailable } from '../../model/errors.ts'
import { ReadOnlyDatabase } from './database.ts'
import { type FailureKind, failureOf } from './sqlstates.ts'

// Attempts at work that meets a deadlock or a conflict with other transactions.
const attemptsMax = 3
const attemptPauseMs = 20

/** Repeats work that conflicted with other transactions. */
export async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await work()
    } catch (error) {
      if (failureOf(error)?.kind !== 'retry' || attempt === attemptsMax) throw error
      // Random, so that two conflicting transactions do not conflict again.
      await pause(Math.random() * attemptPauseMs * attempt)
    }
}

/** The error for a call that PostgreSQL answered but could not execute now. */
export function temporaryFailure(kind: Exclude<FailureKind, 'lost'>, cause: unknown): ServiceError {
  const message = {
    retry: 'Other requests are changing the same data. Try again shortly.',
    later: 'The database cannot execute this request at the moment. Try again shortly.',
    'read-only': 'The database rejects writes at the moment. Try again shortly.',
  }
  return new ServiceError('unavailable', message[kind], { retryAfterSeconds: 1, cause })
}

/** The error for a call that failed because of the database or the connection to it. */
export function databaseFailure(error: unknown): ServiceError {
  const failure = failureOf(error)
  const cause = failure?.cause ?? error
  if (cause instanceof ReadOnlyDatabase) return temporaryFailure('read-only', cause)
  return failure && failure.kind !== 'lost'
    ? temporaryFailure(failure.kind, cause)
    : unavailable('The database', cause)
}
