// The Cognito user pool that is kept in step with the directory. Its users are named as ours are; the pool
// compares names without regard to case. Credentials and endpoint are found by the SDK itself
// (AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER for an emulator).
import type { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider'
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'

type Sdk = typeof import('@aws-sdk/client-cognito-identity-provider')
type Call = (
  sdk: Sdk,
  client: CognitoIdentityProviderClient,
  limit: { abortSignal: AbortSignal },
) => Promise<unknown>

/**
 * What the directory does to the pool's users. One that the pool does not have (who has not signed in yet, or
 * was removed) needs nothing done: that is no error. Every call may be repeated.
 * `signal` ends a call sooner than its own limit of four seconds. All throw what the SDK does.
 */
export type UserPool = {
  /** Makes `password` the one that counts, and ends the sessions begun with another. */
  setPassword(username: string, password: string, signal: AbortSignal): Promise<void>
  enable(username: string, signal: AbortSignal): Promise<void>
  /** Lets the user neither sign in nor refresh. */
  disable(username: string, signal: AbortSignal): Promise<void>
  remove(username: string, signal: AbortSignal): Promise<void>
  /** The names of the user's groups; none where there is no such user. */
  groupsOf(username: string, signal: AbortSignal): Promise<string[]>
  /** Passes over groups that there are no more. @returns whether the pool has the user */
  addToGroups(username: string, groups: string[], signal: AbortSignal): Promise<boolean>
  close(): Promise<void>
}

const requestMsMax = 3_000
const callMsMax = 4_000
// A user is in a hundred groups at most.
const groupsPageSize = 60
const groupPagesMax = 2

/** @param userPoolId its first part is the region */
export function openUserPool(userPoolId: string): UserPool {
  const client = openAwsClient(
    () => import('@aws-sdk/client-cognito-identity-provider'),
    (sdk) =>
      new sdk.CognitoIdentityProviderClient({
        region: userPoolId.slice(0, userPoolId.indexOf('_')),
        // The outbox tries again, in its own order. A retry here could set a password that is no longer the latest.
        maxAttempts: 1,
        requestHandler: attemptLimits(requestMsMax),
      }),
  )

  const unlessMissing = async (work: Call, signal: AbortSignal): Promise<void> => {
    try {
      await client.call(work, callMsMax, signal)
    } catch (error) {
      if (!(error instanceof Error && error.name === 'UserNotFoundException')) throw error
    }
  }

  const user = (username: string) => ({ UserPoolId: userPoolId, Username: username })

  return {
    setPassword: (username, password, signal) =>
      unlessMissing(async (sdk, client, limit) => {
        const command = { ...user(username), Password: password, Permanent: true }
        await client.send(new sdk.AdminSetUserPasswordCommand(command), limit)
        await client.send(new sdk.AdminUserGlobalSignOutCommand(user(username)), limit)
      }, signal),
    enable: (username, signal) =>
      unlessMissing(
        (sdk, client, limit) => client.send(new sdk.AdminEnableUserCommand(user(username)), limit),
        signal,
      ),
    disable: (username, signal) =>
      unlessMissing(async (sdk, client, limit) => {
        await client.send(new sdk.AdminDisableUserCommand(user(username)), limit)
        await client.send(new sdk.AdminUserGlobalSignOutCommand(user(username)), limit)
      }, signal),
    remove: (username, signal) =>
      unlessMissing(
        (sdk, client, limit) => client.send(new sdk.AdminDeleteUserCommand(user(username)), limit),
        signal,
      ),
    groupsOf: async (username, signal) => {
      const groups: string[] = []
      await unlessMissing(async (sdk, client, limit) => {
        let next: string | undefined
        for (let page = 0; page === 0 || (next !== undefined && page < groupPagesMax); page++) {
          const command = { ...user(username), Limit: groupsPageSize, NextToken: next }
          const found = await client.send(new sdk.AdminListGroupsForUserCommand(command), limit)
          groups.push(...(found.Groups ?? []).flatMap(({ GroupName }) => GroupName ?? []))
          next = found.NextToken
        }
      }, signal)
      return groups
    },
    addToGroups: async (username, groups, signal) => {
      let isKnown = false
      await unlessMissing(async (sdk, client, limit) => {
        await client.send(new sdk.AdminGetUserCommand(user(username)), limit)
        for (const group of groups) {
          const command = new sdk.AdminAddUserToGroupCommand({ ...user(username), GroupName: group })
          await client.send(command, limit).catch((error: unknown) => {
            if (!(error instanceof Error && error.name === 'ResourceNotFoundException')) throw error
          })
        }
        isKnown = true
      }, signal)
      return isKnown
    },
    close: client.close,
  }
}
