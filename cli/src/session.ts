// Opens the client with the token of the sign-in, which it refreshes when it is about to expire.
import { openUserDirectory, type UserDirectory } from '../../client/src/index.ts'
import { type Credentials, readCredentials, updateCredentials } from './credentials.ts'
import { CommandError } from './exit-codes.ts'
import { findServer, type ServerOptions } from './server-address.ts'
import { findProvider, getClientToken, refreshTokens } from './sign-in/provider.ts'

export type Session = { server: string; directory: UserDirectory; token: () => Promise<string> }

const refreshSecondsBefore = 60

/** @throws CommandError for an address that is not valid */
export async function openSession(options: ServerOptions): Promise<Session> {
  const server = await findServer(options)
  // Calls that run side by side share one refresh.
  let pending: Promise<string> | undefined
  const token = (): Promise<string> => {
    pending ??= currentToken(server).finally(() => {
      pending = undefined
    })
    return pending
  }
  return { server, token, directory: openUserDirectory({ url: server, token }) }
}

/** @throws CommandError without a sign-in, or if it has ended */
async function currentToken(server: string): Promise<string> {
  const { USER_DIRECTORY_TOKEN } = process.env
  if (USER_DIRECTORY_TOKEN) return USER_DIRECTORY_TOKEN
  const stored = (await readCredentials()).servers[server]
  if (!stored) throw notSignedIn(`You are not signed in to ${server}.`, server)
  if (isFresh(stored)) return stored.access_token
  const renewed = await updateCredentials(server, async (latest) => {
    if (!latest) throw notSignedIn(`You are not signed in to ${server}.`, server)
    // Another command may have been faster.
    return isFresh(latest) ? latest : renew(server, latest)
  })
  return renewed.access_token
}

async function renew(server: string, stored: Credentials): Promise<Credentials> {
  const { issuer, client_id: clientId, refresh_token, scope } = stored
  const secret = process.env.USER_DIRECTORY_CLIENT_SECRET
  const ended = notSignedIn(`The sign-in to ${server} has ended.`, server)
  if (refresh_token === undefined && secret === undefined) throw ended
  const provider = await findProvider(issuer, { clientId, secret })
  try {
    return refresh_token === undefined
      ? await getClientToken(provider, scope)
      : await refreshTokens(provider, stored)
  } catch (error) {
    throw error instanceof CommandError && error.exitCode === ended.exitCode ? ended : error
  }
}

function isFresh({ expires_at }: Credentials): boolean {
  return expires_at - refreshSecondsBefore > Date.now() / 1_000
}

function notSignedIn(fact: string, server: string): CommandError {
  return new CommandError('forbidden', `${fact} Sign in: user-directory login --server ${server}`)
}
