// The entry of the function behind two triggers of the Cognito user pool: user migration and pre token generation.
// https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-migrate-user.html
// https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
import * as z from 'zod/mini'
import { type Connections, openConnections } from '../../connection/open.ts'
import { openLogger } from '../../platform/logger.ts'
import { metricFields } from '../../platform/metrics.ts'
import { readFunctionSettings } from '../../platform/settings.ts'
import { admitUser, migrateUser } from '../../services/cognito/triggers.ts'

const cognitoEvent = z.looseObject({
  version: z.string(),
  triggerSource: z.string(),
  userName: z.optional(z.string()),
  request: z.looseObject({
    password: z.optional(z.string()),
    groupConfiguration: z.optional(
      z.nullable(z.looseObject({ groupsToOverride: z.optional(z.nullable(z.array(z.string()))) })),
    ),
  }),
  response: z.unknown(),
})
type CognitoEvent = z.infer<typeof cognitoEvent>

let connections: Connections | undefined
function open(): Connections {
  const settings = readFunctionSettings()
  return openConnections(settings, openLogger(settings.logLevel, { sync: true }), { isFunction: true })
}
try {
  // Lambda gives a starting function a whole core.
  connections = open()
} catch {
  // The first event tries again and reports the reason.
}

/**
 * @returns the event with the instructions for the pool in its `response`
 * @throws Error to reject the sign-in, with a message that Cognito shows to the client; and for events of other sources
 */
export async function handler(event: unknown): Promise<CognitoEvent> {
  const read = z.safeParse(cognitoEvent, event)
  if (!read.success) throw new Error('This is not a trigger event of a Cognito user pool.')
  const { triggerSource } = read.data
  if (triggerSource === 'UserMigration_Authentication') return migrate(read.data)
  // The directory has no verified addresses, so an administrator resets passwords. The unchanged response makes the pool
  // answer as for any user without an address, whether the username exists or not.
  if (triggerSource === 'UserMigration_ForgotPassword') return read.data
  // A machine client's token belongs to no user.
  if (triggerSource === 'TokenGeneration_ClientCredentials') return read.data
  if (triggerSource.startsWith('TokenGeneration_')) return addGroups(read.data)
  throw new Error(`The trigger ${JSON.stringify(triggerSource)} is not supported.`)
}

async function migrate(event: CognitoEvent): Promise<CognitoEvent> {
  const username = await recordDecision(event, (ctx, name) =>
    migrateUser(ctx, name, event.request.password ?? ''),
  )
  if (username === undefined) throw new Error('Incorrect username or password.')
  return {
    ...event,
    response: {
      // The directory's spelling of the username, whatever the user typed.
      userAttributes: { username },
      finalUserStatus: 'CONFIRMED',
      messageAction: 'SUPPRESS',
    },
  }
}

async function addGroups(event: CognitoEvent): Promise<CognitoEvent> {
  const admitted = await recordDecision(event, admitUser)
  if (!admitted) throw new Error('Sign-in is not possible.')
  if (admitted.groups.length === 0) return event
  const { groupConfiguration } = event.request
  const groups = new Set([...(groupConfiguration?.groupsToOverride ?? []), ...admitted.groups])
  const details = { groupOverrideDetails: { ...groupConfiguration, groupsToOverride: [...groups] } }
  const isFirstVersion = event.version !== '2' && event.version !== '3'
  return {
    ...event,
    response: isFirstVersion
      ? { claimsOverrideDetails: details }
      : { claimsAndScopeOverrideDetails: details },
  }
}

/** Logs and counts the decision. An error counts as a rejection, and clients do not see it. */
async function recordDecision<T>(
  { triggerSource, userName = '' }: CognitoEvent,
  work: (ctx: Connections, username: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  connections ??= open()
  const { logger } = connections
  let decision: T | undefined
  try {
    decision = await work(connections, userName)
  } catch (error) {
    logger.error('sign-in check failed', { trigger: triggerSource, error })
  }
  logger.info('sign-in', {
    trigger: triggerSource,
    ...metricFields('signIn', {
      // Each migration is followed by a token, which is counted instead.
      SignIns: decision !== undefined && /^TokenGeneration_(?!Refresh)/.test(triggerSource) ? 1 : 0,
      SignInsRefused: decision === undefined ? 1 : 0,
    }),
  })
  return decision
}
