// login, logout and whoami.
import type { Command } from 'commander'
import type { CommandContext, Run } from '../context.ts'
import { readCredentials, updateCredentials } from '../credentials.ts'
import { CommandError } from '../exit-codes.ts'
import { printable } from '../output/printable.ts'
import { checkAddress, findServer, isLoopback } from '../server-address.ts'
import { signInWithBrowser } from '../sign-in/browser.ts'
import { findProvider, getClientToken, revokeTokens } from '../sign-in/provider.ts'

type LoginOptions = {
  issuer?: string
  clientId?: string
  scope?: string
  redirectUri?: string
  browser: boolean
}

export function addSignIn(program: Command, run: Run): void {
  program
    .command('login')
    .description('Sign in with the browser. With USER_DIRECTORY_CLIENT_SECRET, as a machine client.')
    .option('--issuer <url>', 'the OpenID provider; by default USER_DIRECTORY_ISSUER, or the local issuer')
    .option('--client-id <id>', 'by default USER_DIRECTORY_CLIENT_ID, or user-directory-cli')
    .option('--scope <scopes>', 'the scopes to ask for; openid by default for people')
    .option('--redirect-uri <url>', 'a loopback address, if the provider knows only one')
    .option('--no-browser', 'only prints the address')
    .action(run(login))
  program.command('logout').description('Forget the sign-in.').action(run(logout))
  program.command('whoami').description('Show who is signed in, and check the token.').action(run(whoami))
}

async function login(ctx: CommandContext, options: LoginOptions): Promise<void> {
  const { output, signal } = ctx
  const {
    USER_DIRECTORY_ISSUER,
    USER_DIRECTORY_CLIENT_ID,
    USER_DIRECTORY_CLIENT_SECRET: secret,
  } = process.env
  const server = await findServer(ctx.options)
  const issuer = checkAddress(options.issuer ?? USER_DIRECTORY_ISSUER ?? localIssuerOf(server), {
    name: 'The issuer',
    isHttpAllowed: false,
  })
  const clientId = options.clientId ?? USER_DIRECTORY_CLIENT_ID ?? 'user-directory-cli'
  const { scope, redirectUri } = options
  if (redirectUri !== undefined && !(URL.canParse(redirectUri) && isLoopback(new URL(redirectUri))))
    throw new CommandError('usage', '--redirect-uri must be an address of this machine.')
  const provider = await findProvider(issuer, { clientId, secret })
  const credentials =
    secret === undefined
      ? await signInWithBrowser(provider, {
          scope: scope ?? 'openid',
          redirectUri,
          opensBrowser: options.browser,
          signal,
          show: (address) =>
            output.note(
              `Sign in at this address. If the browser runs on another machine, paste the address that it ends at:\n${address}`,
            ),
        })
      : await getClientToken(provider, scope)
  await updateCredentials(server, async () => credentials)
  const { name } = readClaims(credentials.access_token)
  output.note(`Signed in to ${server} as ${name}.`)
}

/** The local issuer names itself by localhost. */
function localIssuerOf(server: string): string {
  const url = new URL(server)
  if (!isLoopback(url))
    throw new CommandError('usage', 'Name the OpenID provider of this server: --issuer, and --client-id.')
  url.hostname = 'localhost'
  return `${url.origin}/local-issuer`
}

async function logout({ output, options }: CommandContext): Promise<void> {
  const server = await findServer(options)
  const stored = (await readCredentials()).servers[server]
  await updateCredentials(server, async () => undefined)
  if (!stored) {
    output.note(`There was no sign-in to ${server}.`)
    return
  }
  output.note(`Signed out of ${server}.`)
  const { issuer, client_id: clientId } = stored
  try {
    await revokeTokens(await findProvider(issuer, { clientId, secret: undefined }), stored)
  } catch (error) {
    output.note(`The refresh token could not be revoked: ${(error as Error).message}`)
  }
}

async function whoami(ctx: CommandContext): Promise<void> {
  const { output, signal } = ctx
  const { server, token, directory } = await ctx.openSession()
  const { name, groups, scopes, expiresAt } = readClaims(await token())
  // 403 means that the token is valid, and its caller no reader.
  const { response } = await directory.api.GET('/user', { params: { query: { limit: 1 } }, signal })
  if (response.status === 401)
    throw new CommandError(
      'forbidden',
      `The token is no longer valid. Sign in: user-directory login --server ${server}`,
    )
  if (output.isJson) return output.json({ server, name, groups, scopes, expires_at: expiresAt })
  await output.line(`${printable(name)} at ${server}`)
  if (groups.length > 0) await output.line(`groups   ${printable(groups.join(', '))}`)
  if (scopes.length > 0) await output.line(`scopes   ${printable(scopes.join(', '))}`)
  await output.line(`expires  ${expiresAt ?? 'unknown'}`)
}

/** Reads a token only to show it; the service alone checks tokens. */
function readClaims(token: string) {
  let claims: Record<string, unknown> = {}
  try {
    claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
      string,
      unknown
    >
  } catch {
    // Some providers issue tokens without readable claims.
  }
  const { username, sub, client_id, scope, exp } = claims
  const groups = claims['cognito:groups']
  return {
    name: String(username ?? sub ?? client_id ?? 'unknown'),
    groups: Array.isArray(groups) ? groups.map(String) : [],
    scopes: typeof scope === 'string' && scope !== '' ? scope.split(' ') : [],
    expiresAt: typeof exp === 'number' ? new Date(exp * 1_000).toISOString() : null,
  }
}
