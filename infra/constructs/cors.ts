// Which web applications may call the API from a browser: those of the stage's `webAddresses`.
import { Duration } from 'aws-cdk-lib'
import type { Resource } from 'aws-cdk-lib/aws-apigateway'
import { acceptedHeaders } from '../../src/handler/http/cors.ts'
import type { Stage } from '../stages.ts'

export function webOrigins({ webAddresses }: Stage): string[] {
  return [...new Set(webAddresses.map((address) => new URL(address).origin))]
}

/** Where a fixed header is all that can be set: the origin if there is exactly one, otherwise nothing. */
export function onlyOrigin(stage: Stage): string[] {
  const origins = webOrigins(stage)
  return origins.length === 1 ? origins : []
}

/** Answers preflights in the gateway itself. A browser sends no token with them, so they pass no authorizer. */
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
