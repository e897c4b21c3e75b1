// The console on AWS: the API's built function behind a gateway and CloudFront, and the function that calls the provider, which
// gets the client's secret from the pool.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { GatewayReply } from '../../src/handler/lambda/gateway-event.ts'
import { type Browser, openBrowser } from './browser.ts'
import { atEnd } from './cleanup.ts'
import { type Cognito, startCognito } from './cognito.ts'
import { consoleOrigin } from './console-server.ts'
import { packagedFunctions } from './functions.ts'
import { clientId } from './issuer.ts'
import { type LambdaFunction, restEvent, startFunction } from './lambda.ts'
import { consoleClient, type TestProvider } from './openid-provider.ts'
import { realServices } from './service.ts'

export type { GatewayReply }

type Options = { databaseUrl: string; origin?: string; env?: Record<string, string> }

export type ConsoleFunction = {
  browser(): Browser
  api: LambdaFunction
  cognito: Cognito
  /** The log of both functions. */
  lines: string[]
}

/**
 * Without a route from the API's function to the provider.
 * @param options.env more settings of the API's function
 */
export async function startConsoleFunction(
  provider: TestProvider,
  { databaseUrl, origin = consoleOrigin, env: more = {} }: Options,
): Promise<ConsoleFunction> {
  const { folder } = await packagedFunctions()
  const cognito = await startCognito()
  const lines: string[] = []
  const start = async (name: string, env: Record<string, string>): Promise<LambdaFunction> => {
    const started = await startFunction(
      join(folder, `${name}.js`),
      {
        NODE_ENV: 'production',
        AWS_REGION: 'eu-west-1',
        ...cognito.env,
        JWT_ISSUER: provider.rules.issuer,
        CONSOLE_CLIENT_ID: consoleClient.clientId,
        CONSOLE_URL: origin,
        ...env,
      },
      (line) => lines.push(line),
    )
    atEnd(started.close)
    return started
  }
  const remote = await start('openid-provider', {
    COGNITO_CLIENT_ID: consoleClient.clientId,
    JWT_JWKS_URI: provider.rules.jwksUri,
  })
  cognito.functions['openid-provider'] = remote.invoke
  const api = await start('api', {
    ...realServices(),
    DATABASE_URL: databaseUrl,
    ...more,
    COGNITO_CLIENT_ID: clientId,
    JWT_JWKS_URI: 'http://127.0.0.1:9/unreachable',
    OPENID_PROVIDER_FUNCTION: 'openid-provider',
    AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${cognito.port}`,
  })

  const gateway = createServer((incoming, response) => void forward(incoming, response))
  const forward = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = incoming
    const parts: Uint8Array[] = []
    for await (const part of incoming) parts.push(part)
    const request = new Request(`https://gateway${url}`, {
      method,
      ...(parts.length > 0 && { body: new Uint8Array(Buffer.concat(parts)) }),
    })
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, String(value))
    request.headers.set('x-forwarded-prefix', '/')
    const answer = (await api.invoke(await consoleEvent(request))) as GatewayReply
    const { statusCode, body, multiValueHeaders } = answer
    response.writeHead(statusCode, { ...answer.headers, ...multiValueHeaders }).end(body)
  }
  await new Promise<void>((done) => gateway.listen(0, '127.0.0.1', done))
  atEnd(
    () =>
      new Promise<void>((done) => {
        gateway.close(() => done())
        gateway.closeAllConnections()
      }),
  )
  const url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`
  return { browser: () => openBrowser(origin, url), api, cognito, lines }
}

/** The event of the gateway's route for the console, which has no authorizer. */
export async function consoleEvent(request: Request): Promise<Record<string, unknown>> {
  const { pathname } = new URL(request.url)
  return {
    ...((await restEvent(request, undefined)) as Record<string, unknown>),
    resource: '/console/{proxy+}',
    pathParameters: { proxy: pathname.slice('/console/'.length) },
  }
}
