// The API's faults at their fields.
import { type RefObject, useEffect } from 'react'
import { ProblemError } from '../api/directory.ts'

export type FieldErrors = ReadonlyMap<string, string>

export const noErrors: FieldErrors = new Map()

/** @returns the messages by JSON pointer */
export function fieldErrors(error: unknown): FieldErrors {
  if (!(error instanceof ProblemError)) return noErrors
  return new Map(
    error.errors.flatMap(({ pointer, message }) =>
      pointer === undefined ? [] : [[pointer, message] as const],
    ),
  )
}

/**
 * Focuses the first field with an error, so that a screen reader reads it.
 * @param attempt changes with each attempt that failed
 */
export function useFocusOnError(form: RefObject<HTMLElement | null>, attempt: unknown): void {
  useEffect(() => {
    if (attempt) form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus()
  }, [form, attempt])
}
