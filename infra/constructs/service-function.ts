// A Lambda function of the service with its role, logs and alias.
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
import type { StageProps } from '../stages.ts'
import { logGroup } from './log-group.ts'
import type { Network } from './network.ts'

/** The bundled code, and the processor architecture of its native modules. */
export type FunctionPackage = { code: Code; architecture: Architecture }

export type FunctionOptions = FunctionPackage &
  StageProps & {
    description: string
    environment: Record<string, string>
    memoryMb: number
    timeout: Duration
    /** Reserved concurrent invocations; if absent, the account's unreserved ones. */
    concurrency?: number
    /** The isolated subnets and the security groups; if absent, the function runs outside the VPC. */
    vpc?: { network: Network; groups: ISecurityGroup[] }
  }

export class ServiceFunction extends Construct {
  readonly function: LambdaFunction
  /** The target of all calls. A deployment moves it to the new version. */
  readonly alias: Alias
  readonly role: Role

  constructor(scope: Construct, name: FunctionName, { stageName, stage, ...options }: FunctionOptions) {
    super(scope, name)
    const physicalName = functionName(stageName, name)
    this.role = new Role(this, 'Role', { assumedBy: new ServicePrincipal('lambda.amazonaws.com') })
    const logs = logGroup(this, 'Logs', { stage, name: `/aws/lambda/${physicalName}` })
    logs.grantWrite(this.role)
    if (options.vpc) this.#allowNetworkInterfaces(functionArn(Stack.of(this), { stageName, name }))

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
      ...(options.vpc && {
        vpc: options.vpc.network.vpc,
        vpcSubnets: options.vpc.network.subnets,
        securityGroups: options.vpc.groups,
      }),
      // Previous versions stay for rollbacks. A failed deployment removes the version that it published: Lambda publishes
      // the same code only once, so the next attempt would fail.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE },
    })
    this.alias = new Alias(this, 'Live', { aliasName, version: this.function.currentVersion })
    accept(this.role, {
      'AwsSolutions-IAM5[Resource::*]':
        'X-Ray’s actions and those for Lambda’s network interfaces do not support resources. The latter are denied to the function’s code.',
    })
  }

  /**
   * Lambda manages the network interfaces with the function's role. The function's own code must not use these actions.
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
