// The entry of the function that a Cognito user pool calls: as its trigger for migrating users, and as the one
// before tokens are made. https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-migrate-user.html
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
  // While the function starts it has a whole core.
  connections = open()
} catch {
  // The next event tries again, and says why it could not.
}

/**
 * @returns the event with what the pool shall do in its `response`
 * @throws Error for a no, of which clients are told the message; and for an event that is not such a trigger's
 */
export async function handler(event: unknown): Promise<CognitoEvent> {
  const read = z.safeParse(cognitoEvent, event)
  if (!read.success) throw new Error('This function takes events of a Cognito user pool, and this is none.')
  const { triggerSource } = read.data
  if (triggerSource === 'UserMigration_Authentication') return migrate(read.data)
  // Empty as it is, the response has the pool answer as for anybody whom it could not send a code. Nobody is
  // looked up: we know of no address that is proven to be somebody's, so an administrator sets a new password.
  if (triggerSource === 'UserMigration_ForgotPassword') return read.data
  // A machine client's token is of nobody.
  if (triggerSource === 'TokenGeneration_ClientCredentials') return read.data
  if (triggerSource.startsWith('TokenGeneration_')) return admit(read.data)
  throw new Error(`This function is no trigger for ${JSON.stringify(triggerSource)}.`)
}

async function migrate(event: CognitoEvent): Promise<CognitoEvent> {
  const username = await decide(event, (ctx, name) => migrateUser(ctx, name, event.request.password ?? ''))
  if (username === undefined) throw new Error('Incorrect username or password.')
  return {
    ...event,
    response: {
      // The name as it is written in the directory, however it was typed.
      userAttributes: { username },
      finalUserStatus: 'CONFIRMED',
      messageAction: 'SUPPRESS',
    },
  }
}

async function admit(event: CognitoEvent): Promise<CognitoEvent> {
  const admitted = await decide(event, admitUser)
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

/** Logs and counts what was decided. A fault is a no too, and clients are not told of it. */
async function decide<T>(
  { triggerSource, userName = '' }: CognitoEvent,
  work: (ctx: Connections, username: string) => Promise<T | undefined>,
): Promise<T | undefined> {
  connections ??= open()
  const { logger } = connections
  let decision: T | undefined
  try {
    decision = await work(connections, userName)
  } catch (error) {
    logger.error('a sign-in could not be checked', { trigger: triggerSource, error })
  }
  logger.info('sign-in', {
    trigger: triggerSource,
    ...metricFields('signIn', {
      // A migration is followed by a token.
      SignIns: decision !== undefined && /^TokenGeneration_(?!Refresh)/.test(triggerSource) ? 1 : 0,
      SignInsRefused: decision === undefined ? 1 : 0,
    }),
  })
  return decision
}
