// A user pool: cognito-local in its own process, with the service's functions as triggers. A server in front of it adds
// AdminUserGlobalSignOut and Lambda's Invoke, which cognito-local lacks.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CognitoIdentityProviderClient, InitiateAuthCommand } from '@aws-sdk/client-cognito-identity-provider'
import { atEnd } from './cleanup.ts'
import { consoleClient } from './openid-provider.ts'
import { freePort } from './port.ts'
import { until } from './wait.ts'

const require = createRequire(import.meta.url)

const poolId = 'eu-west-1_Directory'
const clientId = 'web'
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }

type Invoke = (event: unknown) => Promise<unknown>

export type Tokens = { access: string; id: string; refresh: string }

export type Cognito = {
  port: number
  poolId: string
  /** The service's settings for the pool. */
  env: Record<string, string>
  /** Calls the pool's API as administrator. */
  admin: CognitoIdentityProviderClient
  /** Signs in like an app. @throws like the SDK */
  signIn(username: string, password: string): Promise<Tokens>
  refresh(refreshToken: string): Promise<Omit<Tokens, 'refresh'>>
  /** The API calls, oldest first, such as `AdminDisableUser ada`. */
  calls: string[]
  /** Runs before the pool gets a call; an error rejects the call. */
  onCall: (call: string) => unknown
  /** Runs after the pool has performed a call, before the caller gets the answer. */
  onDone: (call: string) => unknown
  /** The functions behind Lambda's Invoke, by name: the pool's triggers, and any other. */
  functions: Partial<Record<'UserMigration' | 'PreTokenGeneration' | 'user-pool' | 'openid-provider', Invoke>>
}

/** Stops when the test or the file ends. */
export async function startCognito(): Promise<Cognito> {
  const folder = await mkdtemp(join(tmpdir(), 'user-directory-cognito-'))
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  const functions: Cognito['functions'] = {}
  const calls: string[] = []
  const emulatorPort = await freePort()
  const emulator = `http://127.0.0.1:${emulatorPort}`
  const front = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)))
  })
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const [, name] = /^\/2015-03-31\/functions\/([\w-]+)\/invocations$/.exec(request.url ?? '') ?? []
    if (name !== undefined) return invoke(functions[name as 'UserMigration'], body, response)
    const target = String(request.headers['x-amz-target'])
    const [, operation = ''] = target.split('.')
    const call = `${operation} ${JSON.parse(body).Username ?? ''}`.trim()
    calls.push(call)
    try {
      await cognito.onCall(call)
    } catch (error) {
      const refusal = { __type: 'InvalidParameterException', message: (error as Error).message }
      return void response.writeHead(400).end(JSON.stringify(refusal))
    }
    // AWS answers `{}`, or UserNotFoundException like AdminGetUser.
    const isSignOut = operation === 'AdminUserGlobalSignOut'
    const forwarded = await fetch(emulator, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': isSignOut ? target.replace(operation, 'AdminGetUser') : target,
      },
      body,
    })
    const text = await forwarded.text()
    await cognito.onDone(call)
    response.writeHead(forwarded.status, { 'content-type': 'application/x-amz-json-1.1' })
    response.end(isSignOut && forwarded.ok ? '{}' : text)
  }
  await new Promise<void>((done) => front.listen(0, '127.0.0.1', done))
  atEnd(async () => {
    front.closeAllConnections()
    await new Promise((done) => front.close(done))
  })
  const { port } = front.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const issuer = `http://127.0.0.1:${emulatorPort}`

  const groups = Object.fromEntries(
    ['admins', 'readers'].map((GroupName) => [GroupName, { GroupName, members: [] }]),
  )
  await writeFiles(join(folder, '.cognito'), {
    'config.json': {
      LambdaClient: { endpoint: url },
      TriggerFunctions: { UserMigration: 'UserMigration', PreTokenGeneration: 'PreTokenGeneration' },
      TokenConfig: { IssuerDomain: issuer },
      UserPoolDefaults: { UsernameAttributes: [] },
    },
    [`db/${poolId}.json`]: { Users: {}, Groups: groups, Options: { Id: poolId, UsernameAttributes: [] } },
    'db/clients.json': {
      Clients: {
        [clientId]: { ClientId: clientId, ClientName: clientId, UserPoolId: poolId },
        [consoleClient.clientId]: {
          ClientId: consoleClient.clientId,
          ClientSecret: consoleClient.clientSecret,
          ClientName: 'console',
          UserPoolId: poolId,
        },
      },
    },
  })
  const child = spawn(process.execPath, [require.resolve('cognito-local/lib/bin/start.js')], {
    cwd: folder,
    env: { PORT: String(emulatorPort), HOST: '127.0.0.1', AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE: '1' },
    stdio: 'ignore',
  })
  const exited = new Promise<void>((done) => child.once('exit', () => done()))
  atEnd(async () => {
    child.kill('SIGKILL')
    await exited
  })
  await until(
    'the pool',
    () =>
      fetch(`${emulator}/health`).then(
        (answer) => answer.ok,
        () => false,
      ),
    30_000,
  )

  const admin = new CognitoIdentityProviderClient({ endpoint: url, region: 'eu-west-1', credentials })
  const initiate = async (
    flow: 'USER_PASSWORD_AUTH' | 'REFRESH_TOKEN_AUTH',
    parameters: Record<string, string>,
  ) => {
    const { AuthenticationResult: result } = await admin.send(
      new InitiateAuthCommand({ AuthFlow: flow, ClientId: clientId, AuthParameters: parameters }),
    )
    return {
      access: result?.AccessToken ?? '',
      id: result?.IdToken ?? '',
      refresh: result?.RefreshToken ?? '',
    }
  }
  const cognito: Cognito = {
    port,
    poolId,
    env: {
      COGNITO_USER_POOL_ID: poolId,
      COGNITO_CLIENT_ID: clientId,
      JWT_ISSUER: `${issuer}/${poolId}`,
      JWT_JWKS_URI: `${emulator}/${poolId}/.well-known/jwks.json`,
      AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: url,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    admin,
    signIn: (username, password) =>
      initiate('USER_PASSWORD_AUTH', { USERNAME: username, PASSWORD: password }),
    refresh: (refreshToken) => initiate('REFRESH_TOKEN_AUTH', { REFRESH_TOKEN: refreshToken }),
    calls,
    onCall: () => {},
    onDone: () => {},
    functions,
  }
  return cognito
}

/** https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html */
async function invoke(called: Invoke | undefined, body: string, response: ServerResponse): Promise<void> {
  try {
    const result = await called?.(JSON.parse(body))
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result ?? null))
  } catch (error) {
    response.writeHead(200, { 'content-type': 'application/json', 'x-amz-function-error': 'Unhandled' })
    response.end(JSON.stringify({ errorType: 'Error', errorMessage: (error as Error).message }))
  }
}

async function writeFiles(folder: string, files: Record<string, unknown>): Promise<void> {
  await mkdir(join(folder, 'db'), { recursive: true })
  for (const [name, content] of Object.entries(files))
    await writeFile(join(folder, name), JSON.stringify(content))
}
