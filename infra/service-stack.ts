// What is replaced often: the functions, the way to them, their schedules, and who watches over them.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import { LambdaApplication, LambdaDeploymentGroup } from 'aws-cdk-lib/aws-codedeploy'
import type { Construct } from 'constructs'
import { Api } from './constructs/api.ts'
import { Functions } from './constructs/functions.ts'
import { Schedules } from './constructs/schedules.ts'
import type { FunctionPackage } from './constructs/service-function.ts'
import { Watch } from './constructs/watch.ts'
import type { DataStack } from './data-stack.ts'
import { accept } from './nag.ts'
import { functionName, prefix } from './names.ts'
import type { Stage, StageName } from './stages.ts'

export class ServiceStack extends Stack {
  constructor(
    scope: Construct,
    stageName: StageName,
    stage: Stage,
    data: DataStack,
    functionPackage: FunctionPackage,
    props?: StackProps,
  ) {
    super(scope, `${prefix(stageName)}-service`, props)
    const functions = new Functions(this, 'Functions', stageName, stage, data, functionPackage)
    const api = new Api(this, 'Api', stageName, stage, functions.api.alias, data.signIn)
    const schedules = new Schedules(this, 'Schedules', stage, functions)
    const watch = stage.isWatched
      ? new Watch(this, 'Watch', stage, data, { stageName, functions, api, schedules })
      : undefined

    // The alias takes the new version step by step: CloudFormation hands the change over to CodeDeploy, and takes
    // everything back when an alarm goes off meanwhile.
    const name = functionName(stageName, 'api')
    const deployments = new LambdaDeploymentGroup(this, 'Shift', {
      // Under the function's own name, by which npm run rollback finds a shift under way.
      application: new LambdaApplication(this, 'ShiftApplication', { applicationName: name }),
      deploymentGroupName: name,
      alias: functions.api.alias,
      deploymentConfig: stage.shift,
      alarms: watch?.ofNewVersion,
      autoRollback: {
        failedDeployment: true,
        stoppedDeployment: true,
        deploymentInAlarm: watch !== undefined,
      },
    })
    accept(deployments.role, {
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]':
        'Made by AWS for this, and narrow.',
    })

    new CfnOutput(this, 'ApiUrl', {
      value: stage.domains ? `https://${stage.domains.api}/` : api.rest.url,
    })
    // Where the CNAME record of the name must point.
    if (api.rest.domainName)
      new CfnOutput(this, 'ApiDomainTarget', { value: api.rest.domainName.domainNameAliasDomainName })
    if (watch) new CfnOutput(this, 'AlarmTopicArn', { value: watch.topic.topicArn })
    new CfnOutput(this, 'ApiFunctionName', { value: functions.api.function.functionName })
    new CfnOutput(this, 'ApiAliasName', { value: functions.api.alias.aliasName })
    new CfnOutput(this, 'MigrateFunctionName', { value: functions.migrate.function.functionName })
  }
}
