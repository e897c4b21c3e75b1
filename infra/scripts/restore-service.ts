// Steps that follow the replacement of the database: grant logins, migrate, empty the cache, start a revalidation.
import { type IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam'
import { GetFunctionConfigurationCommand, InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda'
import type { DBInstance, DBProxy, RDSClient } from '@aws-sdk/client-rds'
import { aliasName, database, type FunctionName, functionName } from '../names.ts'
import type { StageName } from '../stages.ts'

export type Clients = { rds: RDSClient; iam: IAMClient; lambda: LambdaClient }

const policyName = 'restored-database'

/** Allows the roles to log in to the new instance, whose resource id differs from the old one's. */
export async function grantLogins(
  { iam, lambda }: Clients,
  {
    stage,
    instance,
    proxy,
  }: { stage: StageName; instance: DBInstance | undefined; proxy: DBProxy | undefined },
): Promise<void> {
  const { DbiResourceId, DBInstanceArn = '', MasterUserSecret } = instance ?? {}
  const allowLogin = (user: string) => ({
    Effect: 'Allow',
    Action: 'rds-db:connect',
    // arn:<partition>:rds:<region>:<account>:db:<name>
    Resource: `${DBInstanceArn.split(':').slice(0, 5).join(':').replace(':rds:', ':rds-db:')}:dbuser:${DbiResourceId}/${user}`,
  })
  const put = (roleArn: string, ...statements: object[]) =>
    iam.send(
      new PutRolePolicyCommand({
        RoleName: roleArn.split('/').at(-1),
        PolicyName: policyName,
        PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: statements }),
      }),
    )
  if (proxy) {
    await put(proxy.RoleArn ?? '', allowLogin(database.service), {
      Effect: 'Allow',
      Action: ['secretsmanager:DescribeSecret', 'secretsmanager:GetSecretValue'],
      Resource: MasterUserSecret?.SecretArn,
    })
    return
  }
  const users: Partial<Record<FunctionName, string>> = {
    api: database.service,
    'sign-in': database.service,
    deliver: database.service,
    'run-jobs': database.service,
    refresh: database.service,
    migrate: database.owner,
  }
  for (const [name, user] of Object.entries(users)) {
    const { Role = '' } = await lambda.send(
      new GetFunctionConfigurationCommand({ FunctionName: functionName(stage, name as FunctionName) }),
    )
    await put(Role, allowLogin(user))
  }
}

/** Migrates the restored schema, and makes the service ignore the cache's entries. @throws Error with the function's */
export async function migrateRestored({ lambda }: Clients, stage: StageName): Promise<void> {
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({
      FunctionName: functionName(stage, 'migrate'),
      Qualifier: aliasName,
      Payload: JSON.stringify({ isRestored: true }),
    }),
  )
  if (FunctionError === undefined) return
  throw new Error(
    `The migration failed: ${Payload?.transformToString()}. Correct the cause, then run this again to continue.`,
  )
}

export async function startRevalidation({ lambda }: Clients, stage: StageName): Promise<void> {
  await lambda.send(
    new InvokeCommand({
      FunctionName: functionName(stage, 'refresh'),
      Qualifier: aliasName,
      InvocationType: 'Event',
    }),
  )
}
