// Answers of API Gateway without the function: problem documents and preflights.
import { expect, test } from 'vitest'
import { acceptedHeaders, exposedHeaders } from '../../src/handler/http/cors.ts'
import { problemReply } from '../../src/handler/http/problem.ts'
import { type ErrorCode, ServiceError } from '../../src/model/errors.ts'
import { webOrigins } from '../constructs/cors.ts'
import type { StageTemplates } from './stage-templates.ts'

type GatewayResponse = {
  ResponseType: string
  StatusCode: string
  ResponseParameters: Record<string, string>
  ResponseTemplates: Record<string, string>
}

export function gatewayTests({ stage, properties }: StageTemplates): void {
  const answers = properties('AWS::ApiGateway::GatewayResponse') as GatewayResponse[]
  const header = ({ ResponseParameters }: GatewayResponse, name: string) =>
    ResponseParameters[`gatewayresponse.header.${name}`]?.replace(/^'|'$/g, '')

  test('the gateway speaks the service’s problem vocabulary', () => {
    const codes: Record<number, ErrorCode> = {
      400: 'invalid',
      401: 'unauthenticated',
      403: 'forbidden',
      404: 'not_found',
      413: 'too_large',
      415: 'unsupported_media_type',
      429: 'overloaded',
      503: 'unavailable',
    }
    for (const answer of answers) {
      const problem = JSON.parse(answer.ResponseTemplates['application/problem+json'] ?? '')
      const code = codes[Number(answer.StatusCode)]
      const ours = problemReply(code && new ServiceError(code, ''), '')
      const { type, title, status } = JSON.parse(String(ours.body))
      expect(problem, answer.ResponseType).toMatchObject({
        type,
        title,
        status,
        request_id: '$context.requestId',
      })
      expect(answer.StatusCode).toBe(String(status))
      expect(problem.detail).toMatch(/\.$/)
      expect(header(answer, 'Cache-Control')).toBe('no-store')
      expect(header(answer, 'X-Request-Id')).toBe('context.requestId')
      if (status === 429 || status === 503) expect(header(answer, 'Retry-After')).toMatch(/^\d+$/)
      if (status === 401) expect(header(answer, 'WWW-Authenticate')).toMatch(/^Bearer realm="user-directory"/)
    }
    const statuses = answers.map(({ StatusCode }) => StatusCode)
    for (const status of ['401', '403', '404', '413', '429', '500', '503']) expect(statuses).toContain(status)
  })

  test('a web application of the stage can read those answers', () => {
    for (const answer of answers) {
      expect([webOrigins(stage)[0], 'method.request.header.Origin']).toContain(
        header(answer, 'Access-Control-Allow-Origin'),
      )
      expect(header(answer, 'Access-Control-Expose-Headers')).toBe(exposedHeaders)
    }
  })

  test('preflights pass no authorizer and allow the stage’s web applications alone', () => {
    const [preflight, ...more] = properties('AWS::ApiGateway::Method').filter(
      ({ HttpMethod }) => HttpMethod === 'OPTIONS',
    )
    expect(more).toEqual([])
    expect(preflight).toMatchObject({ AuthorizationType: 'NONE', Integration: { Type: 'MOCK' } })
    const text = JSON.stringify(preflight)
    for (const origin of webOrigins(stage)) expect(text).toContain(origin)
    expect(text).not.toMatch(/"'\*'"/)
    for (const name of ['PATCH', 'DELETE', ...acceptedHeaders.split(', ')]) expect(text).toContain(name)
    // The function answers with the same list.
    for (const { FunctionName, Environment } of properties('AWS::Lambda::Function'))
      if (String(FunctionName).endsWith('-api'))
        expect(Environment).toMatchObject({ Variables: { CORS_ORIGINS: webOrigins(stage).join() } })
  })
}
