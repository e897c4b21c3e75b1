// The Cognito user pool that follows the directory. Its usernames are ours, but case-insensitive. The SDK finds
// credentials and endpoint itself (AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER for an emulator).
import type { CognitoIdentityProviderClient } from '@aws-sdk/client-cognito-identity-provider'
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'

type Sdk = typeof import('@aws-sdk/client-cognito-identity-provider')
type Call = (
  sdk: Sdk,
  client: CognitoIdentityProviderClient,
  limit: { abortSignal: AbortSignal },
) => Promise<unknown>

/**
 * Changes of the pool's users. All are idempotent, and ignore users who are not in the pool because they have not
 * signed in yet. All throw the SDK's errors. `signal` aborts a call before its own limit of four seconds.
 */
export type UserPool = {
  /** Sets the password and ends the sessions of earlier ones. */
  setPassword(username: string, password: string, signal: AbortSignal): Promise<void>
  enable(username: string, signal: AbortSignal): Promise<void>
  /** Prevents sign-in and refreshing of tokens. */
  disable(username: string, signal: AbortSignal): Promise<void>
  remove(username: string, signal: AbortSignal): Promise<void>
  /** The names of the user's groups; empty without such a user. */
  groupsOf(username: string, signal: AbortSignal): Promise<string[]>
  /** Skips groups that no longer exist. @returns whether the pool has the user */
  addToGroups(username: string, groups: string[], signal: AbortSignal): Promise<boolean>
  close(): Promise<void>
}

const requestMsMax = 3_000
const callMsMax = 4_000
// Cognito allows a user at most 100 groups.
const groupsPageSize = 60
const groupPagesMax = 2

/** @param userPoolId its first part is the region */
export function openUserPool(userPoolId: string): UserPool {
  const client = openAwsClient(
    () => import('@aws-sdk/client-cognito-identity-provider'),
    (sdk) =>
      new sdk.CognitoIdentityProviderClient({
        region: userPoolId.slice(0, userPoolId.indexOf('_')),
        // The outbox retries, in its own order. A retry here could set a password that is no longer the latest.
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
