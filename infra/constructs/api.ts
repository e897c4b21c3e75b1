// The way in: API Gateway with Cognito's authorizer before the function, and a firewall before both.
import { Duration, Stack } from 'aws-cdk-lib'
import {
  AccessLogField,
  AccessLogFormat,
  AuthorizationType,
  CognitoUserPoolsAuthorizer,
  EndpointType,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  ResponseType,
  RestApi,
} from 'aws-cdk-lib/aws-apigateway'
import { Metric } from 'aws-cdk-lib/aws-cloudwatch'
import type { Alias } from 'aws-cdk-lib/aws-lambda'
import { CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import { accept } from '../nag.ts'
import { aliasName, prefix } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import { logGroup } from './log-group.ts'
import type { SignIn } from './sign-in.ts'

export class Api extends Construct {
  readonly rest: RestApi
  readonly #name: string

  constructor(
    scope: Construct,
    id: string,
    stageName: StageName,
    stage: Stage,
    alias: Alias,
    signIn: SignIn,
  ) {
    super(scope, id)
    this.#name = prefix(stageName)
    this.rest = new RestApi(this, 'Rest', {
      restApiName: this.#name,
      endpointTypes: [EndpointType.REGIONAL],
      // Bodies that are not text. Others come as they are: in base64 they would be a third larger.
      binaryMediaTypes: [
        'image/png',
        'image/jpeg',
        'image/jpg',
        'image/webp',
        'image/gif',
        'image/avif',
        'multipart/form-data',
        'application/octet-stream',
      ],
      // The account's one role by which API Gateway writes logs.
      cloudWatchRole: true,
      deployOptions: {
        stageName: aliasName,
        throttlingRateLimit: stage.throttle.perSecond,
        throttlingBurstLimit: stage.throttle.burst,
        tracingEnabled: true,
        metricsEnabled: true,
        loggingLevel: MethodLoggingLevel.ERROR,
        // It would log bodies and tokens.
        dataTraceEnabled: false,
        accessLogDestination: new LogGroupLogDestination(logGroup(this, 'AccessLogs', stage)),
        accessLogFormat: AccessLogFormat.custom(
          JSON.stringify({
            request_id: AccessLogField.contextRequestId(),
            time: AccessLogField.contextRequestTimeEpoch(),
            ip: AccessLogField.contextIdentitySourceIp(),
            method: AccessLogField.contextHttpMethod(),
            status: AccessLogField.contextStatus(),
            error: AccessLogField.contextErrorResponseType(),
            bytes: AccessLogField.contextResponseLength(),
            duration_ms: AccessLogField.contextResponseLatency(),
            integration_ms: AccessLogField.contextIntegrationLatency(),
            firewall: AccessLogField.contextWafResponseCode(),
            trace_id: AccessLogField.contextXrayTraceId(),
          }),
        ),
      },
    })

    // Every path and method, so that the function answers what does not exist as well, in its own words.
    this.rest.root
      .addResource('{proxy+}')
      .addMethod('ANY', new LambdaIntegration(alias, { proxy: true, allowTestInvoke: false }), {
        authorizationType: AuthorizationType.COGNITO,
        authorizer: new CognitoUserPoolsAuthorizer(this, 'Authorizer', {
          cognitoUserPools: [signIn.pool],
          // A remembered answer would outlive its token; checking one costs API Gateway next to nothing.
          resultsCacheTtl: Duration.seconds(0),
        }),
        authorizationScopes: signIn.scopes,
      })
    this.#answerAsTheFunctionDoes()

    new CfnWebACLAssociation(this, 'FirewallAssociation', {
      resourceArn: this.rest.deploymentStage.stageArn,
      webAclArn: this.#makeFirewall(stage).attrArn,
    })

    accept(this.rest, {
      'AwsSolutions-APIG2': 'The function checks every request against its schemas.',
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
        'API Gateway asks for this very policy.',
    })
  }

  /** What a rule of the firewall has blocked. */
  metricBlocked(rule: string): Metric {
    return new Metric({
      namespace: 'AWS/WAFV2',
      metricName: 'BlockedRequests',
      dimensionsMap: { WebACL: this.#name, Region: Stack.of(this).region, Rule: rule },
      statistic: 'Sum',
      period: Duration.minutes(5),
      label: rule,
    })
  }

  /** What the gateway itself refuses: problem documents too (RFC 9457). */
  #answerAsTheFunctionDoes(): void {
    const answers: [ResponseType, number, string, string, Record<string, string>?][] = [
      [
        ResponseType.UNAUTHORIZED,
        401,
        'Unauthorized',
        'A valid access token is needed: Authorization: Bearer <token>.',
        { 'WWW-Authenticate': "'Bearer'" },
      ],
      [ResponseType.ACCESS_DENIED, 403, 'Forbidden', 'This token may not be used here.'],
      [ResponseType.WAF_FILTERED, 403, 'Forbidden', 'The request looks like an attack.'],
      [ResponseType.MISSING_AUTHENTICATION_TOKEN, 404, 'Not Found', 'There is no such route.'],
      [ResponseType.REQUEST_TOO_LARGE, 413, 'Content Too Large', 'The body is too large.'],
      [
        ResponseType.THROTTLED,
        429,
        'Too Many Requests',
        'There are more requests than can be served. Try again shortly.',
        { 'Retry-After': "'1'" },
      ],
      [ResponseType.DEFAULT_4XX, 400, 'Bad Request', 'The request is not well-formed.'],
      [
        ResponseType.INTEGRATION_FAILURE,
        503,
        'Service Unavailable',
        'Try again shortly.',
        { 'Retry-After': "'1'" },
      ],
      [
        ResponseType.INTEGRATION_TIMEOUT,
        503,
        'Service Unavailable',
        'Try again shortly.',
        { 'Retry-After': "'1'" },
      ],
      [ResponseType.DEFAULT_5XX, 500, 'Internal Server Error', 'Something went wrong.'],
    ]
    for (const [type, status, title, detail, headers] of answers) {
      const isDefault = type === ResponseType.DEFAULT_4XX || type === ResponseType.DEFAULT_5XX
      const problem = {
        type: 'about:blank',
        title,
        status,
        detail,
        request_id: '$context.requestId',
      }
      this.rest.addGatewayResponse(`Answer-${type.responseType}`, {
        type,
        // The defaults stand for several statuses, each of which is kept.
        ...(!isDefault && { statusCode: String(status) }),
        ...(headers && { responseHeaders: headers }),
        templates: {
          'application/problem+json': JSON.stringify(
            isDefault ? { ...problem, title: '$context.error.responseType', status: undefined } : problem,
          ),
        },
      })
    }
  }

  #makeFirewall(stage: Stage): CfnWebACL {
    const visible = (metricName: string) => ({
      cloudWatchMetricsEnabled: true,
      metricName,
      // Samples would keep headers, and so tokens.
      sampledRequestsEnabled: false,
    })
    const managed = (priority: number, name: string, counted: string[] = []): CfnWebACL.RuleProperty => ({
      name,
      priority,
      overrideAction: { none: {} },
      statement: {
        managedRuleGroupStatement: {
          vendorName: 'AWS',
          name: `AWSManagedRules${name}`,
          ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
        },
      },
      visibilityConfig: visible(name),
    })
    return new CfnWebACL(this, 'Firewall', {
      name: this.#name,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      rules: [
        {
          name: 'RequestsPerAddress',
          priority: 0,
          action: { block: { customResponse: { responseCode: 429 } } },
          statement: {
            rateBasedStatement: {
              aggregateKeyType: 'IP',
              limit: stage.requestsPerAddress,
              evaluationWindowSec: 300,
            },
          },
          visibilityConfig: visible('RequestsPerAddress'),
        },
        managed(1, 'AmazonIpReputationList'),
        managed(2, 'CommonRuleSet', [
          // Avatars make bodies of up to 8 MB.
          'SizeRestrictions_BODY',
          // An image's bytes may look like anything, and nothing that is sent here is ever shown as a page.
          'CrossSiteScripting_BODY',
          // Not every machine says what it is.
          'NoUserAgent_HEADER',
        ]),
        managed(3, 'KnownBadInputsRuleSet'),
      ],
      visibilityConfig: visible('Firewall'),
    })
  }
}
