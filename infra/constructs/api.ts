// The way in: API Gateway with Cognito's authorizer before the function, and a firewall before both.
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
import { CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2'
import { Construct } from 'constructs'
import { accept } from '../nag.ts'
import { aliasName, prefix } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import { addPreflight } from './cors.ts'
import { Firewall } from './firewall.ts'
import { addGatewayAnswers } from './gateway-answers.ts'
import { logGroup } from './log-group.ts'
import type { SignIn } from './sign-in.ts'

export class Api extends Construct {
  readonly rest: RestApi
  readonly firewall: Firewall | undefined

  constructor(
    scope: Construct,
    id: string,
    stageName: StageName,
    stage: Stage,
    alias: Alias,
    signIn: SignIn,
  ) {
    super(scope, id)
    this.rest = new RestApi(this, 'Rest', {
      restApiName: prefix(stageName),
      endpointTypes: [EndpointType.REGIONAL],
      ...(stage.domains && {
        domainName: {
          domainName: stage.domains.api,
          certificate: Certificate.fromCertificateArn(this, 'Certificate', stage.domains.apiCertificateArn),
          securityPolicy: SecurityPolicy.TLS_1_2,
        },
        // One way in.
        disableExecuteApiEndpoint: true,
      }),
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
    const all = this.rest.root.addResource('{proxy+}')
    all.addMethod('ANY', new LambdaIntegration(alias, { proxy: true, allowTestInvoke: false }), {
      authorizationType: AuthorizationType.COGNITO,
      authorizer: new CognitoUserPoolsAuthorizer(this, 'Authorizer', {
        cognitoUserPools: [signIn.pool],
        // A remembered answer would outlive its token; checking one costs API Gateway next to nothing.
        resultsCacheTtl: Duration.seconds(0),
      }),
      authorizationScopes: signIn.scopes,
    })
    addPreflight(all, stage)
    addGatewayAnswers(this.rest, stage)

    this.firewall = stage.firewall && new Firewall(this, 'Firewall', { stageName, stage, ...stage.firewall })
    if (this.firewall)
      new CfnWebACLAssociation(this, 'FirewallAssociation', {
        resourceArn: this.rest.deploymentStage.stageArn,
        webAclArn: this.firewall.arn,
      })

    accept(this.rest, {
      ...(!this.firewall && { 'AwsSolutions-APIG3': 'This stage gives up the firewall for its price.' }),
      'AwsSolutions-APIG2': 'The function checks every request against its schemas.',
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
        'API Gateway asks for this very policy.',
    })
  }
}
