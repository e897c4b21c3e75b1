// API Gateway in front of the API's function, with Cognito's authorizer and an optional firewall.
import { Duration } from 'aws-cdk-lib'
import {
  AccessLogField,
  AccessLogFormat,
  AuthorizationType,
  CognitoUserPoolsAuthorizer,
  EndpointType,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  RestApi,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigateway'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import type { Alias } from 'aws-cdk-lib/aws-lambda'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import { CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import { accept } from '../nag.ts'
import { aliasName, prefix } from '../names.ts'
import type { Stage, StageProps } from '../stages.ts'
import type { Cognito } from './cognito.ts'
import { addPreflight } from './cors.ts'
import { Firewall } from './firewall.ts'
import { addGatewayAnswers } from './gateway-answers.ts'
import { logGroup } from './log-group.ts'

export class Api extends Construct {
  readonly rest: RestApi
  readonly firewall: Firewall | undefined
  /** CloudFront proves by it that it names the client's address. Absent without a firewall, which alone reads it. */
  readonly originKey: Secret | undefined
  readonly #stage: Stage

  constructor(scope: Construct, id: string, { stageName, stage }: StageProps) {
    super(scope, id)
    this.#stage = stage
    this.rest = new RestApi(this, 'Rest', {
      restApiName: prefix(stageName),
      endpointTypes: [EndpointType.REGIONAL],
      ...(stage.domains && {
        domainName: {
          domainName: stage.domains.api,
          certificate: Certificate.fromCertificateArn(this, 'Certificate', stage.domains.apiCertificateArn),
          securityPolicy: SecurityPolicy.TLS_1_2,
        },
        // The custom domain is the only address.
        disableExecuteApiEndpoint: true,
      }),
      // The gateway passes these to the function in base64, which is a third larger, and text as it is.
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
      // Sets the account-wide role with which API Gateway writes logs.
      cloudWatchRole: true,
      deployOptions: {
        stageName: aliasName,
        throttlingRateLimit: stage.throttle.perSecond,
        throttlingBurstLimit: stage.throttle.burst,
        tracingEnabled: true,
        metricsEnabled: true,
        loggingLevel: MethodLoggingLevel.ERROR,
        // Data tracing would log bodies and tokens.
        dataTraceEnabled: false,
        accessLogDestination: new LogGroupLogDestination(logGroup(this, 'AccessLogs', { stage })),
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
    addGatewayAnswers(this.rest, stage)

    if (stage.firewall) {
      this.originKey = new Secret(this, 'OriginKey', {
        description: 'CloudFront proves to the firewall by it who it is',
        generateSecretString: { excludePunctuation: true, passwordLength: 64 },
      })
      accept(this.originKey, {
        'AwsSolutions-SMG4':
          'Whoever has it can only evade the limit for one address. A new one needs both of its users at once.',
      })
      this.firewall = new Firewall(this, 'Firewall', {
        stageName,
        stage,
        originKey: this.originKey,
        ...stage.firewall,
      })
      new CfnWebACLAssociation(this, 'FirewallAssociation', {
        resourceArn: this.rest.deploymentStage.stageArn,
        webAclArn: this.firewall.arn,
      })
    }

    accept(this.rest, {
      ...(!this.firewall && { 'AwsSolutions-APIG3': 'This stage omits the firewall to save costs.' }),
      'AwsSolutions-APIG2': 'The function validates every request against its schemas.',
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
        'API Gateway requires this managed policy.',
    })
  }

  /** Apart from the constructor, because the function needs the host's name, and the host needs the API. */
  addRoutes({ alias, cognito }: { alias: Alias; cognito: Cognito }): void {
    const integration = new LambdaIntegration(alias, { proxy: true, allowTestInvoke: false })
    // All paths and methods, so that the function also answers those that do not exist.
    const all = this.rest.root.addResource('{proxy+}')
    all.addMethod('ANY', integration, {
      authorizationType: AuthorizationType.COGNITO,
      authorizer: new CognitoUserPoolsAuthorizer(this, 'Authorizer', {
        cognitoUserPools: [cognito.pool],
        // A cached result could outlive its token, and checking a token costs API Gateway almost nothing.
        resultsCacheTtl: Duration.seconds(0),
      }),
      authorizationScopes: cognito.scopes,
    })
    addPreflight(all, this.#stage)
    const console = this.rest.root
      .addResource('console')
      .addResource('{proxy+}')
      .addMethod('ANY', integration, { authorizationType: AuthorizationType.NONE })
    const reason = 'The function finds the session by its cookie, and verifies the session’s token.'
    accept(console, { 'AwsSolutions-APIG4': reason, 'AwsSolutions-COG4': reason })
  }
}
