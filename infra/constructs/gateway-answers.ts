// Answers of API Gateway itself: the same problem documents as the service's (RFC 9457).
import { ResponseType, type RestApi } from 'aws-cdk-lib/aws-apigateway'
import { exposedHeaders } from '../../src/handler/http/cors.ts'
import { problemReply } from '../../src/handler/http/problem.ts'
import { type ErrorCode, ServiceError } from '../../src/model/errors.ts'
import type { Stage } from '../stages.ts'
import { webOrigins } from './cors.ts'

const needsToken = 'A valid access token is needed: send Authorization: Bearer <token>.'
const noRoute = 'There is no such route.'
const tryAgain = 'The service cannot be reached at the moment. Try again shortly.'
const tooMany = 'There are more requests than can be served. Try again shortly.'
const blocked =
  'The firewall has blocked this request. If you send many, wait a minute; if it was a proper one, tell the operator its request id.'

type Answer = [code: ErrorCode | 'internal', detail: string, retryAfterSeconds?: number]

// Every type that API Gateway has, so that the defaults are left for those of the future.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
const answers: [ResponseType, ...Answer][] = [
  [ResponseType.UNAUTHORIZED, 'unauthenticated', needsToken],
  [ResponseType.EXPIRED_TOKEN, 'unauthenticated', needsToken],
  [ResponseType.INVALID_SIGNATURE, 'unauthenticated', needsToken],
  [ResponseType.ACCESS_DENIED, 'forbidden', 'This token may not be used here.'],
  [ResponseType.INVALID_API_KEY, 'forbidden', 'This token may not be used here.'],
  [ResponseType.WAF_FILTERED, 'forbidden', blocked, 60],
  [ResponseType.MISSING_AUTHENTICATION_TOKEN, 'not_found', noRoute],
  [ResponseType.RESOURCE_NOT_FOUND, 'not_found', noRoute],
  [ResponseType.REQUEST_TOO_LARGE, 'too_large', 'The request is too large; API Gateway takes up to 10 MB.'],
  [ResponseType.UNSUPPORTED_MEDIA_TYPE, 'unsupported_media_type', 'This Content-Type is not supported.'],
  [ResponseType.BAD_REQUEST_BODY, 'invalid', 'The body is not well-formed.'],
  [ResponseType.BAD_REQUEST_PARAMETERS, 'invalid', 'A parameter is not well-formed.'],
  [ResponseType.DEFAULT_4XX, 'invalid', 'The request is not well-formed.'],
  [ResponseType.THROTTLED, 'overloaded', tooMany, 1],
  [ResponseType.QUOTA_EXCEEDED, 'overloaded', tooMany, 60],
  [ResponseType.INTEGRATION_FAILURE, 'unavailable', tryAgain, 1],
  [ResponseType.INTEGRATION_TIMEOUT, 'unavailable', tryAgain, 1],
  [ResponseType.AUTHORIZER_FAILURE, 'unavailable', tryAgain, 1],
  [ResponseType.AUTHORIZER_CONFIGURATION_ERROR, 'internal', ''],
  [ResponseType.API_CONFIGURATION_ERROR, 'internal', ''],
  [ResponseType.DEFAULT_5XX, 'internal', ''],
]

export function addGatewayAnswers(api: RestApi, stage: Stage): void {
  for (const [type, code, detail, retryAfterSeconds] of answers) {
    // Whether a token was sent is not known with this type, so it is answered as if none was.
    const isTokenMissing = type === ResponseType.UNAUTHORIZED
    const {
      status,
      headers = {},
      body,
    } = problemReply(
      code === 'internal' ? undefined : new ServiceError(code, detail, { retryAfterSeconds, isTokenMissing }),
      '$context.requestId',
    )
    const { 'Content-Type': contentType = '', 'WWW-Authenticate': challenge, ...others } = headers
    api.addGatewayResponse(`Answer-${type.responseType}`, {
      type,
      statusCode: String(status),
      responseHeaders: {
        ...Object.fromEntries(Object.entries(others).map(([name, value]) => [name, `'${value}'`])),
        ...(challenge && type !== ResponseType.WAF_FILTERED && { 'WWW-Authenticate': `'${challenge}'` }),
        'X-Request-Id': 'context.requestId',
        'X-Content-Type-Options': "'nosniff'",
        ...corsHeaders(stage),
      },
      templates: { [contentType]: String(body) },
    })
  }
}

/** A gateway response's headers are fixed or copied from the request, so several origins cannot be told apart. */
function corsHeaders(stage: Stage): Record<string, string> {
  const [origin, ...more] = webOrigins(stage)
  if (origin === undefined) return {}
  return {
    // These documents hold nothing that another site must not read.
    'Access-Control-Allow-Origin': more.length > 0 ? 'method.request.header.Origin' : `'${origin}'`,
    'Access-Control-Expose-Headers': `'${exposedHeaders}'`,
    Vary: "'Origin'",
  }
}
