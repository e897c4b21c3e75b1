// What is replaced often: the functions, the way to them, their schedules, and who watches over them.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { Code } from 'aws-cdk-lib/aws-lambda'
import type { Construct } from 'constructs'
import { Api } from './constructs/api.ts'
import { Functions } from './constructs/functions.ts'
import { Schedules } from './constructs/schedules.ts'
import type { DataStack } from './data-stack.ts'
import { prefix } from './names.ts'
import type { Stage, StageName } from './stages.ts'

export class ServiceStack extends Stack {
  constructor(
    scope: Construct,
    stageName: StageName,
    stage: Stage,
    data: DataStack,
    code: Code,
    props?: StackProps,
  ) {
    super(scope, `${prefix(stageName)}-service`, props)
    const functions = new Functions(this, 'Functions', stageName, stage, data, code)
    const api = new Api(this, 'Api', stageName, stage, functions.api.alias, data.signIn)
    new Schedules(this, 'Schedules', functions)

    new CfnOutput(this, 'ApiUrl', { value: api.rest.url })
    new CfnOutput(this, 'ApiFunctionName', { value: functions.api.function.functionName })
    new CfnOutput(this, 'ApiAliasName', { value: functions.api.alias.aliasName })
    new CfnOutput(this, 'MigrateFunctionName', { value: functions.migrate.function.functionName })
  }
}
