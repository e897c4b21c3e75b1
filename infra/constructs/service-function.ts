// What all functions of the service have in common.
import { type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib'
import type { ISecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  Alias,
  type Architecture,
  type Code,
  Function as LambdaFunction,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda'
import { Construct } from 'constructs'
import { functionArn } from '../arns.ts'
import { accept } from '../nag.ts'
import { aliasName, type FunctionName, functionName } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import { logGroup } from './log-group.ts'
import type { Network } from './network.ts'

/** The bundled code, and the processor that its native modules are for. */
export type FunctionPackage = { code: Code; architecture: Architecture }

export type FunctionOptions = FunctionPackage & {
  description: string
  environment: Record<string, string>
  memoryMb: number
  timeout: Duration
  /** Invocations at once; absent: as many as the account has left. */
  concurrency?: number
  /** The isolated subnets, and what is to be reached from there; absent: outside of them. */
  within?: { network: Network; groups: ISecurityGroup[] }
}

export class ServiceFunction extends Construct {
  readonly function: LambdaFunction
  /** What everybody calls: the version that it points at is what a deployment moves. */
  readonly alias: Alias
  readonly role: Role

  constructor(
    scope: Construct,
    name: FunctionName,
    stageName: StageName,
    stage: Stage,
    options: FunctionOptions,
  ) {
    super(scope, name)
    const physicalName = functionName(stageName, name)
    this.role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') })
    const logs = logGroup(this, 'Logs', stage, `/aws/lambda/${physicalName}`)
    logs.grantWrite(this.role)
    if (options.within) this.#allowNetworkInterfaces(functionArn(Stack.of(this), stageName, name))

    this.function = new LambdaFunction(this, 'Function', {
      functionName: physicalName,
      description: options.description,
      runtime: Runtime.NODEJS_24_X,
      architecture: options.architecture,
      handler: `${name}.handler`,
      code: options.code,
      environment: { NODE_ENV: 'production', STAGE: stageName, ...options.environment },
      memorySize: options.memoryMb,
      timeout: options.timeout,
      ...(options.concurrency !== undefined && { reservedConcurrentExecutions: options.concurrency }),
      role: this.role,
      logGroup: logs,
      tracing: Tracing.ACTIVE,
      ...(options.within && {
        vpc: options.within.network.vpc,
        vpcSubnets: options.within.network.subnets,
        securityGroups: options.within.groups,
      }),
      // Earlier versions stay for rollbacks. One that a failed deployment published must go: Lambda publishes the
      // same code only once, so the next attempt would fail.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE },
    })
    this.alias = new Alias(this, 'Live', { aliasName, version: this.function.currentVersion })
    accept(this.role, {
      'AwsSolutions-IAM5[Resource::*]':
        'X-Ray’s actions know no resources; nor do those by which Lambda looks after its network interfaces, which are denied to the function’s own code.',
    })
  }

  /**
   * Lambda makes a function's network interfaces in its role's name; the function's own code may not.
   * https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
   */
  #allowNetworkInterfaces(arn: string): void {
    const actions = [
      'ec2:CreateNetworkInterface',
      'ec2:DescribeNetworkInterfaces',
      'ec2:DescribeSubnets',
      'ec2:DeleteNetworkInterface',
      'ec2:AssignPrivateIpAddresses',
      'ec2:UnassignPrivateIpAddresses',
    ]
    this.role.addToPolicy(new PolicyStatement({ actions, resources: ['*'] }))
    this.role.addToPolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        actions,
        resources: ['*'],
        conditions: { ArnEquals: { 'lambda:SourceFunctionArn': arn } },
      }),
    )
  }
}
