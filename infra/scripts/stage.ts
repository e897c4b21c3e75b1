// Shared by the scripts: stage names, limits for AWS clients, and advice on AWS errors.
import type { StageName } from '../stages.ts'

// Not imported from stages.ts, because that would load the CDK.
const stageNames = Object.keys({ dev: true, small: true, prod: true } satisfies Record<StageName, true>)

/** @throws Error that lists the stages */
export function stageOf(name: string): StageName {
  if (!stageNames.includes(name))
    throw new Error(`--stage must be one of: ${stageNames.join(', ')}. Got: ${name}`)
  return name as StageName
}

/** In the order of their dependencies. */
export const stackNames = (stage: StageName) => [
  `user-directory-${stage}-data`,
  `user-directory-${stage}-service`,
]

/** Limits a call to about twenty seconds, retries included. */
export const clientLimits = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 6_000, throwOnRequestTimeout: true },
}

const advice: Record<string, string> = {
  CredentialsProviderError: 'No AWS credentials. Sign in, for example with: aws sso login',
  ExpiredTokenException: 'The AWS credentials have expired. Sign in again.',
  UnrecognizedClientException: 'AWS does not know these credentials. Check the account and the profile.',
  AccessDeniedException: 'These credentials lack a permission.',
  AccessDenied: 'These credentials lack a permission.',
  ValidationError: 'Is the stage deployed in this account and region?',
  ResourceNotFoundException:
    'The resource does not exist in this account and region. Is the stage deployed here?',
}

/** @returns the error with advice in front of AWS's message */
export function explain(error: unknown): Error {
  const { name, message } = error as Error
  if (message === 'Region is missing')
    return new Error('No AWS region. Set it, for example: export AWS_REGION=eu-west-1')
  return new Error(advice[name] ? `${advice[name]}\n  ${message}` : message)
}
