// Problem documents (RFC 9457) for the answers that API Gateway gives without calling the function.
import { ResponseType, type RestApi } from 'aws-cdk-lib/aws-apigateway'
import { exposedHeaders } from '../../src/handler/http/cors.ts'
import { problemReply, routeNotFound } from '../../src/handler/http/problem.ts'
import { type ErrorCode, invalidToken, ServiceError, unavailable } from '../../src/model/errors.ts'
import type { Stage } from '../stages.ts'
import { webOrigins } from './cors.ts'

const tokenNotAllowed = 'This token is not allowed here. Send an access token of this API.'
const tooManyRequests = 'The service receives too many requests. Retry after the time in Retry-After.'
const blocked =
  'The firewall blocked this request. After many requests, wait a minute. If it was a legitimate request, report its id to the operator.'

const unauthorized = new ServiceError(
  'unauthenticated',
  'A valid access token is required; send Authorization: Bearer <token>.',
  // The gateway does not say whether a token was sent, so the challenge carries no error code.
  { isTokenMissing: true },
)

function rejection(code: ErrorCode, detail: string, retryAfterSeconds?: number): ServiceError {
  return new ServiceError(code, detail, retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
}

// Every type that API Gateway has, which leaves the defaults to types it may add. Undefined stands for an internal error.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
const answers: [ResponseType, ServiceError | undefined][] = [
  [ResponseType.UNAUTHORIZED, unauthorized],
  [ResponseType.EXPIRED_TOKEN, invalidToken()],
  [ResponseType.INVALID_SIGNATURE, invalidToken()],
  [ResponseType.ACCESS_DENIED, rejection('forbidden', tokenNotAllowed)],
  [ResponseType.INVALID_API_KEY, rejection('forbidden', tokenNotAllowed)],
  [ResponseType.WAF_FILTERED, rejection('forbidden', blocked, 60)],
  [ResponseType.MISSING_AUTHENTICATION_TOKEN, routeNotFound()],
  [ResponseType.RESOURCE_NOT_FOUND, routeNotFound()],
  [ResponseType.REQUEST_TOO_LARGE, rejection('too_large', 'The request must be at most 10 MB.')],
  [
    ResponseType.UNSUPPORTED_MEDIA_TYPE,
    rejection(
      'unsupported_media_type',
      'The Content-Type is not supported; the API reference lists those that are.',
    ),
  ],
  [
    ResponseType.BAD_REQUEST_BODY,
    rejection('invalid', 'The body is malformed. Send one that the API reference describes.'),
  ],
  [
    ResponseType.BAD_REQUEST_PARAMETERS,
    rejection('invalid', 'A parameter is malformed. Send those that the API reference describes.'),
  ],
  [
    ResponseType.DEFAULT_4XX,
    rejection('invalid', 'The request is malformed. Send one that the API reference describes.'),
  ],
  [ResponseType.THROTTLED, rejection('overloaded', tooManyRequests, 1)],
  [ResponseType.QUOTA_EXCEEDED, rejection('overloaded', tooManyRequests, 60)],
  [ResponseType.INTEGRATION_FAILURE, unavailable('The service')],
  [ResponseType.INTEGRATION_TIMEOUT, unavailable('The service')],
  [ResponseType.AUTHORIZER_FAILURE, unavailable('The service')],
  [ResponseType.AUTHORIZER_CONFIGURATION_ERROR, undefined],
  [ResponseType.API_CONFIGURATION_ERROR, undefined],
  [ResponseType.DEFAULT_5XX, undefined],
]

export function addGatewayAnswers(api: RestApi, stage: Stage): void {
  for (const [type, error] of answers) {
    const { status, headers = {}, body } = problemReply(error, '$context.requestId')
    const { 'Content-Type': contentType = '', 'WWW-Authenticate': challenge, ...others } = headers
    api.addGatewayResponse(`Answer-${type.responseType}`, {
      type,
      statusCode: String(status),
      responseHeaders: {
        ...Object.fromEntries(Object.entries(others).map(([name, value]) => [name, `'${value}'`])),
        // The firewall blocks requests for other reasons than their token.
        ...(challenge && type !== ResponseType.WAF_FILTERED && { 'WWW-Authenticate': `'${challenge}'` }),
        'X-Request-Id': 'context.requestId',
        'X-Content-Type-Options': "'nosniff'",
        ...corsHeaders(stage),
      },
      templates: { [contentType]: String(body) },
    })
  }
}

/** A gateway response's headers are fixed or copied from the request, so they cannot depend on a list of origins. */
function corsHeaders(stage: Stage): Record<string, string> {
  const [origin, ...more] = webOrigins(stage)
  if (origin === undefined) return {}
  return {
    // Copying the origin allows every site, which is safe: these documents contain nothing confidential.
    'Access-Control-Allow-Origin': more.length > 0 ? 'method.request.header.Origin' : `'${origin}'`,
    'Access-Control-Expose-Headers': `'${exposedHeaders}'`,
    Vary: "'Origin'",
  }
}
