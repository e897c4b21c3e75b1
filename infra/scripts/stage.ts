// What the scripts know of a stage and of AWS: the stage's name, checked; limits; and what errors mean.
import type { StageName } from '../stages.ts'

// Not from stages.ts itself: that would load the CDK.
const stageNames = Object.keys({ dev: true, small: true, prod: true } satisfies Record<StageName, true>)

/** @throws Error that says which stages there are */
export function stageOf(name: string): StageName {
  if (!stageNames.includes(name))
    throw new Error(`--stage must be one of: ${stageNames.join(', ')}. It is: ${name}`)
  return name as StageName
}

/** In the order in which they need each other. */
export const stackNames = (stage: StageName) => [
  `user-directory-${stage}-data`,
  `user-directory-${stage}-service`,
]

/** For every client of AWS: a call ends within some twenty seconds, its retries included. */
export const clientLimits = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 2_000, requestTimeout: 6_000, throwOnRequestTimeout: true },
}

const advice: Record<string, string> = {
  CredentialsProviderError: 'No AWS credentials. Sign in, for example by: aws sso login',
  ExpiredTokenException: 'The AWS credentials have expired. Sign in anew.',
  UnrecognizedClientException: 'AWS does not know these credentials.',
  AccessDeniedException: 'These credentials may not do that.',
  AccessDenied: 'These credentials may not do that.',
  ValidationError: 'Is the stage deployed in this account and region?',
  ResourceNotFoundException: 'There is no such thing in this account and region: is the stage deployed here?',
}

/** What a person can do about it, in front of what AWS says. */
export function explain(error: unknown): Error {
  const { name, message } = error as Error
  if (message === 'Region is missing')
    return new Error('No AWS region. Set it, for example: export AWS_REGION=eu-west-1')
  return new Error(advice[name] ? `${advice[name]}\n  ${message}` : message)
}
