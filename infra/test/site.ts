// The host for browsers: where CloudFront leads each path, with which headers, and what the console's parts may do.
import { Match } from 'aws-cdk-lib/assertions'
import { expect, test } from 'vitest'
import { securityHeaders } from '../../src/handler/http/console/security-headers.ts'
import { serverPaths } from '../../src/handler/http/console/server-paths.ts'
import { runEdge } from './run-edge.ts'
import type { StageTemplates } from './stage-templates.ts'

type Behavior = {
  PathPattern?: string
  TargetOriginId: string
  AllowedMethods: string[]
  CachePolicyId: unknown
  OriginRequestPolicyId?: string
  ResponseHeadersPolicyId: { Ref: string }
  FunctionAssociations?: { FunctionARN: { 'Fn::GetAtt': [string, string] }; EventType: string }[]
}
type Origin = {
  Id: string
  DomainName: unknown
  OriginPath?: string
  OriginCustomHeaders?: { HeaderName: string; HeaderValue: unknown }[]
  OriginAccessControlId?: unknown
}
type Config = {
  Origins: Origin[]
  DefaultCacheBehavior: Behavior
  CacheBehaviors: Behavior[]
  CustomErrorResponses: { ErrorCode: number; ErrorCachingMinTTL: number }[]
}

// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
const cachingDisabled = '4135ea2d-6df8-44a3-9df3-4b5a84be39ad'
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
const allViewerExceptHost = 'b689b0a8-53d0-40ab-baf2-68738e2966ac'

const pathOf = (uri: string) => runEdge('page.js', { request: { uri } }).uri

export function siteTests({ name, stage, service, data, ofType, properties }: StageTemplates): void {
  const [{ DistributionConfig } = {}] = properties('AWS::CloudFront::Distribution')
  const config = DistributionConfig as Config
  const behaviorOf = (path: string): Behavior =>
    config.CacheBehaviors.find(({ PathPattern = '' }) =>
      new RegExp(`^${PathPattern.replaceAll('*', '.*')}$`).test(path),
    ) ?? config.DefaultCacheBehavior
  const originOf = (path: string): Origin => {
    const id = behaviorOf(path).TargetOriginId
    return config.Origins.find(({ Id }) => Id === id) ?? { Id: '', DomainName: '' }
  }
  const isGateway = (path: string) => JSON.stringify(originOf(path).DomainName).includes('execute-api')
  const headersOf = (path: string) => {
    const { Ref } = behaviorOf(path).ResponseHeadersPolicyId
    const policy = service.toJSON().Resources[Ref].Properties.ResponseHeadersPolicyConfig
    return { security: policy.SecurityHeadersConfig, custom: policy.CustomHeadersConfig?.Items ?? [] }
  }

  test('CloudFront leads the API and the console’s own paths to the gateway, files and avatars to their buckets', () => {
    for (const path of [
      '/',
      '/user',
      '/user/1',
      '/upload/1',
      '/import',
      '/export/1/file',
      '/bulk',
      '/consoles',
    ])
      expect([path, isGateway(path)]).toEqual([path, true])
    for (const path of serverPaths)
      expect([path, isGateway(path.replace('{user}', '1').replace('*', 'user'))]).toEqual([path, true])
    for (const path of [
      '/console',
      '/console/',
      '/console/users',
      '/console/users/1',
      '/console/assets/a.js',
    ])
      expect([path, JSON.stringify(originOf(path).DomainName)]).toEqual([
        path,
        expect.stringContaining('SiteFilesBucket'),
      ])
    expect(JSON.stringify(originOf('/avatars/1/2.webp').DomainName)).toContain('-avatars-')
  })

  test('CloudFront caches nothing of the gateway, no error either, and passes everything on', () => {
    for (const path of ['/user', ...serverPaths]) {
      expect(behaviorOf(path.replace('{user}', '1'))).toMatchObject({
        CachePolicyId: cachingDisabled,
        OriginRequestPolicyId: allViewerExceptHost,
        AllowedMethods: expect.arrayContaining(['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'POST', 'DELETE']),
      })
      expect(originOf(path)).toMatchObject({ OriginPath: '/live' })
    }
    for (const path of ['/console/users', '/avatars/1'])
      expect(behaviorOf(path).AllowedMethods).toEqual(['GET', 'HEAD'])
    // CloudFront's default is ten seconds.
    for (const status of [400, 403, 404, 405, 500, 501, 502, 503, 504])
      expect(config.CustomErrorResponses).toContainEqual({ ErrorCode: status, ErrorCachingMinTTL: 0 })
  })

  test('CloudFront keeps no log, which would hold searches and codes of sign-ins', () => {
    expect(DistributionConfig).not.toHaveProperty('Logging')
  })

  test('CloudFront tells the function that its clients write no stage before paths', () => {
    expect(originOf('/user').OriginCustomHeaders).toContainEqual({
      HeaderName: 'X-Forwarded-Prefix',
      HeaderValue: '/',
    })
  })

  test('the console’s files have the headers of the Node server, and those of S3 may be loaded by CloudFront alone', () => {
    const issuer = 'https://sign-in.example'
    const expected = securityHeaders({ issuer, uploads: 'https://uploads.example' })
    const { security, custom } = headersOf('/console/users')
    const policy = JSON.stringify(security.ContentSecurityPolicy.ContentSecurityPolicy)
    for (const directive of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "frame-ancestors 'none'",
    ])
      expect(policy).toContain(directive)
    expect(policy).toMatch(/connect-src 'self' https:\/\/user-directory-.*-avatars-.*\.s3\./)
    expect(policy).not.toMatch(/unsafe|\*/)
    expect(security.ReferrerPolicy.ReferrerPolicy).toBe(expected['Referrer-Policy'])
    expect(security.ContentTypeOptions).toEqual({ Override: true })
    const { 'Content-Security-Policy': _, 'Referrer-Policy': __, ...others } = expected
    expect(
      Object.fromEntries(
        custom.map(({ Header, Value }: { Header: string; Value: string }) => [Header, Value]),
      ),
    ).toEqual(others)
    for (const path of ['/console/users', '/avatars/1', '/user'])
      expect(headersOf(path).security.StrictTransportSecurity.AccessControlMaxAgeSec).toBe(31_536_000)
    expect(originOf('/console/users').OriginAccessControlId).toBeDefined()
    expect(originOf('/avatars/1').OriginAccessControlId).toBeDefined()
  })

  test('assets are immutable, the page is checked each time and comes after the API, and former assets stay', () => {
    const uploads = properties('Custom::CDKBucketDeployment')
    expect(uploads.map(({ SystemMetadata }) => SystemMetadata)).toEqual([
      { 'cache-control': 'public, max-age=31536000, immutable' },
      { 'cache-control': 'no-cache' },
    ])
    for (const upload of uploads)
      expect(upload).toMatchObject({ Prune: false, DestinationBucketKeyPrefix: 'console' })
    const [, page] = ofType('Custom::CDKBucketDeployment')
    const after = [page?.[1].DependsOn].flat().join()
    expect(after).toMatch(/FunctionsapiLive/)
    expect(after).toMatch(/SiteFilesAssets/)
  })

  test('every page address gets the app’s page, and assets themselves', () => {
    for (const uri of ['/console/', '/console/users', '/console/users/0197f3c2', '/console/a.b/c.js'])
      expect(pathOf(uri)).toBe('/console/index.html')
    expect(pathOf('/console/assets/index-abc.js')).toBe('/console/assets/index-abc.js')
    const redirect = { statusCode: 302, headers: { location: { value: '/console/' } } }
    expect(runEdge('page.js', { request: { uri: '/console' } })).toEqual(redirect)
    expect(runEdge('viewer.js', { viewer: {}, request: { uri: '/', headers: {} } })).toEqual(redirect)
  })

  test('the console’s routes have no authorizer, because the function verifies the session’s token', () => {
    const [method, ...more] = ofType('AWS::ApiGateway::Method').filter(([id]) =>
      id.startsWith('ApiRestconsole'),
    )
    expect(more).toEqual([])
    expect(method?.[1].Properties).toMatchObject({ HttpMethod: 'ANY', AuthorizationType: 'NONE' })
    const [, resource] =
      ofType('AWS::ApiGateway::Resource').find(([id]) => id.startsWith('ApiRestconsoleproxy')) ?? []
    expect(resource?.Properties).toMatchObject({ PathPart: '{proxy+}' })
  })

  test('the console’s client has a secret, which no template and no setting holds', () => {
    service.hasResourceProperties('AWS::Cognito::UserPoolClient', {
      ClientName: 'console',
      GenerateSecret: true,
      AllowedOAuthFlows: ['code'],
      AllowedOAuthScopes: ['openid'],
      EnableTokenRevocation: true,
      PreventUserExistenceErrors: 'ENABLED',
      RefreshTokenValidity: 720,
      CallbackURLs: [{ 'Fn::Join': ['', [Match.anyValue(), Match.anyValue(), '/console/callback']] }],
      LogoutURLs: [{ 'Fn::Join': ['', [Match.anyValue(), Match.anyValue(), '/console/']] }],
    })
    expect(JSON.stringify(service.toJSON())).not.toMatch(/ClientSecret|CONSOLE_CLIENT_SECRET/)
    const rights = ofType('AWS::IAM::Policy').flatMap(([id, { Properties }]) =>
      id.includes('openidproviderRole') ? (JSON.stringify(Properties).match(/cognito-idp:\w+/g) ?? []) : [],
    )
    expect(rights).toEqual(['cognito-idp:DescribeUserPoolClient'])
  })

  test('only the API’s function calls the provider’s, through the endpoint of the network', () => {
    const callers = ofType('AWS::IAM::Policy')
      .filter(([, { Properties }]) => JSON.stringify(Properties).includes('FunctionsopenidproviderLive'))
      .map(([id]) => /Functions(\w+?)Role/.exec(id)?.[1])
    expect(callers).toEqual(['api'])
    expect(JSON.stringify(data.findResources('AWS::EC2::VPCEndpoint'))).toContain(
      `user-directory-${name}-openid-provider:live`,
    )
  })

  test('browsers may send files of imports to the bucket, and read nothing there', () => {
    data.hasResourceProperties('AWS::S3::Bucket', {
      CorsConfiguration: {
        CorsRules: [{ AllowedMethods: ['PUT'], AllowedOrigins: ['*'], AllowedHeaders: ['content-type'] }],
      },
    })
  })

  if (!stage.firewall) return

  test('the firewall counts clients behind CloudFront by their own address, which no client can choose', () => {
    const [{ Rules } = {}] = properties('AWS::WAFv2::WebACL')
    const [direct, viewer] = Rules as { Statement: { RateBasedStatement: Record<string, unknown> } }[]
    const fromEdge = {
      ByteMatchStatement: {
        FieldToMatch: { SingleHeader: { Name: 'x-origin-key' } },
        PositionalConstraint: 'EXACTLY',
        SearchString: expect.objectContaining({ 'Fn::Join': expect.anything() }),
      },
    }
    expect(direct?.Statement.RateBasedStatement).toMatchObject({
      AggregateKeyType: 'IP',
      ScopeDownStatement: { NotStatement: { Statement: fromEdge } },
    })
    expect(viewer?.Statement.RateBasedStatement).toMatchObject({
      AggregateKeyType: 'FORWARDED_IP',
      ForwardedIPConfig: { HeaderName: 'X-Viewer-Address', FallbackBehavior: 'MATCH' },
      Limit: stage.firewall?.requestsPerAddress,
      ScopeDownStatement: fromEdge,
    })
    const sent = originOf('/user').OriginCustomHeaders?.find(
      ({ HeaderName }) => HeaderName === 'X-Origin-Key',
    )
    expect(JSON.stringify(sent?.HeaderValue)).toContain('{{resolve:secretsmanager:')
    const request = { uri: '/user', headers: { 'x-viewer-address': { value: '203.0.113.9' } } }
    expect(runEdge('viewer.js', { viewer: { ip: '198.51.100.7' }, request })).toMatchObject({
      headers: { 'x-viewer-address': { value: '198.51.100.7' } },
    })
    expect(behaviorOf('/user').FunctionAssociations).toEqual([
      {
        EventType: 'viewer-request',
        FunctionARN: { 'Fn::GetAtt': [expect.stringMatching(/^SiteViewer/), 'FunctionARN'] },
      },
    ])
  })
}
