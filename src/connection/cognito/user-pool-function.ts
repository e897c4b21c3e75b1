// Calls the user pool through a Lambda function, from a network without a route to Cognito. Cognito accepts no calls
// through a private endpoint for a pool with a managed login page.
// https://docs.aws.amazon.com/cognito/latest/developerguide/vpc-interface-endpoints.html
import { openRemoteFunction } from '../aws/remote-function.ts'
import type { UserPool } from './user-pool.ts'

/** The event of the function besides its deadline: one call of a `UserPool` method. */
type UserPoolCall = {
  verb: Exclude<keyof UserPool, 'close'>
  username: string
  /** For `setPassword`. */
  password?: string
  /** For `addToGroups`. */
  groups?: string[]
}

// The function's own limit is five seconds.
const requestMsMax = 5_500
const callMsMax = 6_000
// The caller gives up earlier on a password, which might no longer be the latest if it were set later.
const setPasswordMsMax = 2_000

/** @param functionName the name or ARN, with the alias */
export function openUserPoolFunction(functionName: string): UserPool {
  const remote = openRemoteFunction(functionName, { label: "the user pool's function", requestMsMax })
  const call = (request: UserPoolCall, signal: AbortSignal): Promise<unknown> =>
    remote.call(request, request.verb === 'setPassword' ? setPasswordMsMax : callMsMax, signal)

  return {
    setPassword: async (username, password, signal) =>
      void (await call({ verb: 'setPassword', username, password }, signal)),
    enable: async (username, signal) => void (await call({ verb: 'enable', username }, signal)),
    disable: async (username, signal) => void (await call({ verb: 'disable', username }, signal)),
    remove: async (username, signal) => void (await call({ verb: 'remove', username }, signal)),
    groupsOf: async (username, signal) => (await call({ verb: 'groupsOf', username }, signal)) as string[],
    addToGroups: async (username, groups, signal) =>
      (await call({ verb: 'addToGroups', username, groups }, signal)) as boolean,
    close: remote.close,
  }
}
