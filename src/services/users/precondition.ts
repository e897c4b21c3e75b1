// The conditions under which a request may go on, checked against the version that is current at that moment.
import { ServiceError } from '../../model/errors.ts'

export type ConditionName = 'If-Match' | 'If-None-Match'

/**
 * @param version undefined where what the request names has no version
 * @returns the condition that fails; undefined when all hold
 */
export type Precondition = (version: number | undefined) => ConditionName | undefined

/** @throws ServiceError `version_mismatch` with the current version */
export function checkPrecondition(precondition: Precondition | undefined, version: number | undefined): void {
  const failed = precondition?.(version)
  if (failed === undefined) return
  if (version === undefined)
    throw new ServiceError('version_mismatch', `${failed} does not hold here. Repeat the request without it.`)
  throw new ServiceError(
    'version_mismatch',
    `${failed} does not hold: the current version is ${version}. Read the user and decide again.`,
    { version },
  )
}
