// CORS for the web applications of the stage's `webAddresses`.
import { Duration } from 'aws-cdk-lib'
import type { Resource } from 'aws-cdk-lib/aws-apigateway'
import { acceptedHeaders } from '../../src/handler/http/cors.ts'
import type { Stage } from '../stages.ts'

export function webOrigins({ webAddresses }: Stage): string[] {
  return [...new Set(webAddresses.map((address) => new URL(address).origin))]
}

/** For answers with fixed headers: the origin if there is exactly one, otherwise none. */
export function onlyOrigin(stage: Stage): string[] {
  const origins = webOrigins(stage)
  return origins.length === 1 ? origins : []
}

/** Answers preflights in the gateway, without the authorizer, because browsers send no token with them. */
export function addPreflight(resource: Resource, stage: Stage): void {
  const allowOrigins = webOrigins(stage)
  if (allowOrigins.length === 0) return
  resource.addCorsPreflight({
    allowOrigins,
    allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowHeaders: acceptedHeaders.split(', '),
    maxAge: Duration.hours(2),
  })
}
