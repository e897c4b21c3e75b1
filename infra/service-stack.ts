// The stack that changes often: the functions, API Gateway, the schedules and the monitoring.
import { CfnOutput, Stack } from 'aws-cdk-lib'
import { LambdaApplication, LambdaDeploymentGroup } from 'aws-cdk-lib/aws-codedeploy'
import type { Construct } from 'constructs'
import { Api } from './constructs/api.ts'
import { Functions } from './constructs/functions.ts'
import { Monitoring } from './constructs/monitoring.ts'
import { Schedules } from './constructs/schedules.ts'
import type { FunctionPackage } from './constructs/service-function.ts'
import { Site } from './constructs/site.ts'
import type { DataStack } from './data-stack.ts'
import { accept } from './nag.ts'
import { functionName, prefix } from './names.ts'
import type { StageProps } from './stages.ts'

export class ServiceStack extends Stack {
  constructor(
    scope: Construct,
    {
      stageName,
      stage,
      data,
      functionPackage,
      consoleFolder,
    }: StageProps & { data: DataStack; functionPackage: FunctionPackage; consoleFolder: string },
  ) {
    super(scope, `${prefix(stageName)}-service`)
    const api = new Api(this, 'Api', { stageName, stage })
    const site = new Site(this, 'Site', { stage, data, api })
    const functions = new Functions(this, 'Functions', { stageName, stage, data, site, functionPackage })
    const { alias } = functions.api
    api.addRoutes({ alias, cognito: data.cognito })
    site.files.upload(consoleFolder, { stage, after: alias })
    const schedules = new Schedules(this, 'Schedules', { stage, functions })
    const monitoring = stage.hasMonitoring
      ? new Monitoring(this, 'Monitoring', { stageName, stage, data, functions, api, site, schedules })
      : undefined

    // A canary deployment: CodeDeploy shifts the alias to the new version step by step. If an alarm goes off meanwhile,
    // CloudFormation rolls everything back.
    const name = functionName(stageName, 'api')
    const deployments = new LambdaDeploymentGroup(this, 'Shift', {
      // Named like the function, so that npm run rollback finds a deployment in progress.
      application: new LambdaApplication(this, 'ShiftApplication', { applicationName: name }),
      deploymentGroupName: name,
      alias,
      deploymentConfig: stage.shift,
      alarms: monitoring?.canaryAlarms,
      autoRollback: {
        failedDeployment: true,
        stoppedDeployment: true,
        deploymentInAlarm: monitoring !== undefined,
      },
    })
    accept(deployments.role, {
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]':
        'AWS provides this narrow policy for CodeDeploy.',
    })

    new CfnOutput(this, 'ApiUrl', {
      value: stage.domains ? `https://${stage.domains.api}/` : api.rest.url,
    })
    new CfnOutput(this, 'ConsoleUrl', { value: `${site.origin}/console/` })
    // The targets for the CNAME records.
    if (stage.domains)
      new CfnOutput(this, 'SiteDomainTarget', { value: site.distribution.distributionDomainName })
    if (api.rest.domainName)
      new CfnOutput(this, 'ApiDomainTarget', { value: api.rest.domainName.domainNameAliasDomainName })
    if (monitoring) new CfnOutput(this, 'AlarmTopicArn', { value: monitoring.topic.topicArn })
    new CfnOutput(this, 'ApiFunctionName', { value: functions.api.function.functionName })
    new CfnOutput(this, 'ApiAliasName', { value: alias.aliasName })
    new CfnOutput(this, 'MigrateFunctionName', { value: functions.migrate.function.functionName })
  }
}
