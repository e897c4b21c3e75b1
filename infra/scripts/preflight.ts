// Checks before a deployment for problems that would make it fail after half an hour.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CloudFormationClient, DescribeStacksCommand, type Stack } from '@aws-sdk/client-cloudformation'
import {
  GetAccountSettingsCommand,
  GetFunctionConcurrencyCommand,
  LambdaClient,
} from '@aws-sdk/client-lambda'
import { prefix } from '../names.ts'
import type { StageName } from '../stages.ts'
import { clientLimits, stackNames } from './stage.ts'

// AWS keeps this many unreserved, or all of a smaller quota.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
const unreservedMin = 100

/**
 * @param assembly the folder that `npm run synth` wrote
 * @throws Error that names the problem and the commands that solve it
 */
export async function assertDeployable(stage: StageName, assembly: string): Promise<void> {
  const reservations = reservedBy(join(assembly, `${stackNames(stage).at(-1)}.template.json`))
  const cloudFormation = new CloudFormationClient(clientLimits)
  const lambda = new LambdaClient(clientLimits)
  try {
    for (const name of stackNames(stage)) assertStackUsable(stage, await findStack(cloudFormation, name))
    await assertConcurrency(lambda, stage, reservations)
  } finally {
    cloudFormation.destroy()
    lambda.destroy()
  }
}

async function findStack(client: CloudFormationClient, name: string): Promise<Stack | undefined> {
  try {
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: name }))
    return Stacks?.[0]
  } catch (error) {
    if ((error as Error).name === 'ValidationError') return undefined
    throw error
  }
}

/** The CDK deletes a stack whose creation was rolled back, unless it is protected or the rollback failed too. */
function assertStackUsable(stage: StageName, stack: Stack | undefined): void {
  const { StackName: name, StackStatus: status, EnableTerminationProtection: isProtected } = stack ?? {}
  if (status !== 'ROLLBACK_FAILED' && !(status === 'ROLLBACK_COMPLETE' && isProtected)) return
  const commands = [
    `aws cloudformation update-termination-protection --stack-name ${name} --no-enable-termination-protection`,
    ...(status === 'ROLLBACK_FAILED'
      ? [
          `aws rds modify-db-instance --db-instance-identifier ${prefix(stage)} --no-deletion-protection --apply-immediately`,
          'aws cognito-idp update-user-pool --user-pool-id <its id, if there is one> --deletion-protection INACTIVE',
        ]
      : []),
    `aws cloudformation delete-stack --stack-name ${name}`,
    `aws cloudformation wait stack-delete-complete --stack-name ${name}`,
  ]
  throw new Error(
    `The stack ${name} was never created completely (${status}), so it holds no data. Delete it, then deploy again:\n  ${commands.join('\n  ')}`,
  )
}

/** @returns the reserved concurrency by function, from the template */
function reservedBy(template: string): Map<string, number> {
  type Resource = {
    Type: string
    Properties?: { FunctionName?: string; ReservedConcurrentExecutions?: number }
  }
  const { Resources } = JSON.parse(readFileSync(template, 'utf8')) as { Resources: Record<string, Resource> }
  const reserved = new Map<string, number>()
  for (const { Type, Properties: { FunctionName, ReservedConcurrentExecutions } = {} } of Object.values(
    Resources,
  ))
    if (Type === 'AWS::Lambda::Function' && FunctionName && ReservedConcurrentExecutions)
      reserved.set(FunctionName, ReservedConcurrentExecutions)
  return reserved
}

async function assertConcurrency(
  client: LambdaClient,
  stage: StageName,
  reservations: Map<string, number>,
): Promise<void> {
  const wanted = sum([...reservations.values()])
  if (wanted === 0) return
  const { AccountLimit } = await client.send(new GetAccountSettingsCommand({}))
  const { ConcurrentExecutions: quota = 0, UnreservedConcurrentExecutions: unreserved = 0 } =
    AccountLimit ?? {}
  const present = sum(await Promise.all([...reservations.keys()].map((name) => reservedNow(client, name))))
  const missing = Math.min(unreservedMin, quota) - (unreserved + present - wanted)
  if (missing <= 0) return
  // With a larger quota AWS keeps the usual number unreserved.
  const needed = Math.max(quota + missing, wanted + unreservedMin)
  throw new Error(
    `The account allows ${quota} concurrent function invocations in this region, of which ${unreserved + present} are free to reserve. Stage ${stage} reserves ${wanted}, and AWS keeps ${unreservedMin} unreserved.\n` +
      `Request a higher quota, and deploy when it is granted:\n  aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value ${needed}\n` +
      `Or lower or remove \`concurrency\` of ${stage} in infra/stages.ts.`,
  )
}

async function reservedNow(client: LambdaClient, name: string): Promise<number> {
  try {
    const found = await client.send(new GetFunctionConcurrencyCommand({ FunctionName: name }))
    return found.ReservedConcurrentExecutions ?? 0
  } catch (error) {
    if ((error as Error).name === 'ResourceNotFoundException') return 0
    throw error
  }
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
