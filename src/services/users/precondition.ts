// Checks the conditions of a request, If-Match and If-None-Match, against the current version.
import { ServiceError } from '../../model/errors.ts'

export type ConditionName = 'If-Match' | 'If-None-Match'

/**
 * @param version undefined if the target has none
 * @returns the condition that fails; undefined if all hold
 */
export type Precondition = (version: number | undefined) => ConditionName | undefined

/** @throws ServiceError `version_mismatch` with the current version */
export function checkPrecondition(precondition: Precondition | undefined, version: number | undefined): void {
  const failed = precondition?.(version)
  if (failed === undefined) return
  if (version === undefined)
    throw new ServiceError(
      'version_mismatch',
      `${failed} does not apply here. Repeat the request without it.`,
    )
  throw new ServiceError(
    'version_mismatch',
    `${failed} failed: the current version is ${version}. Read the user again and repeat the change.`,
    { version },
  )
}
