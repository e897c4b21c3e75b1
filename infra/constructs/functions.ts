// The Lambda functions with their permissions, and the migration that runs before new code.
import { Duration } from 'aws-cdk-lib'
import type { ISecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Trigger } from 'aws-cdk-lib/triggers'
import { Construct } from 'constructs'
import type { DataStack } from '../data-stack.ts'
import { database, type FunctionName } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { webOrigins } from './cors.ts'
import { type FunctionOptions, type FunctionPackage, ServiceFunction } from './service-function.ts'
import type { Site } from './site.ts'

// Just below the limit of a Lambda function.
const migrationTimeout = Duration.minutes(14)

export class Functions extends Construct {
  readonly api: ServiceFunction
  readonly refresh: ServiceFunction
  readonly migrate: ServiceFunction
  readonly signIn: ServiceFunction
  readonly deliver: ServiceFunction
  readonly runJobs: ServiceFunction
  readonly userPool: ServiceFunction
  readonly openIdProvider: ServiceFunction

  constructor(
    scope: Construct,
    id: string,
    {
      stageName,
      stage,
      data,
      site,
      functionPackage,
    }: StageProps & { data: DataStack; site: Site; functionPackage: FunctionPackage },
  ) {
    super(scope, id)
    const { database: db, cache, avatars, cognito, bus, network, endpoints } = data
    const addFunction = (
      name: FunctionName,
      options: Omit<FunctionOptions, keyof FunctionPackage | keyof StageProps>,
    ) => new ServiceFunction(this, name, { stageName, stage, ...functionPackage, ...options })
    const inVpc = (...groups: ISecurityGroup[]) => ({ network, groups })

    // Cognito rejects calls through a VPC endpoint if the pool has a sign-in page, and the isolated subnets have no other
    // route. So this function and the next run outside the VPC, with access to the pool only.
    // https://docs.aws.amazon.com/cognito/latest/developerguide/vpc-interface-endpoints.html
    this.userPool = addFunction('user-pool', {
      description: 'Calls Cognito for the functions in the VPC',
      environment: { COGNITO_USER_POOL_ID: cognito.pool.userPoolId },
      memoryMb: 256,
      timeout: Duration.seconds(5),
    })
    this.userPool.role.addToPolicy(
      new PolicyStatement({
        actions: [
          'cognito-idp:AdminAddUserToGroup',
          'cognito-idp:AdminDeleteUser',
          'cognito-idp:AdminDisableUser',
          'cognito-idp:AdminEnableUser',
          'cognito-idp:AdminGetUser',
          'cognito-idp:AdminListGroupsForUser',
          'cognito-idp:AdminSetUserPassword',
          'cognito-idp:AdminUserGlobalSignOut',
        ],
        resources: [cognito.pool.userPoolArn],
      }),
    )

    const consoleClient = cognito.addConsoleClient(site, site.origin)
    const console = { CONSOLE_CLIENT_ID: consoleClient.userPoolClientId, CONSOLE_URL: site.origin }
    this.openIdProvider = addFunction('openid-provider', {
      description: 'Calls the pool’s sign-in endpoints for the console',
      environment: {
        COGNITO_USER_POOL_ID: cognito.pool.userPoolId,
        COGNITO_CLIENT_ID: consoleClient.userPoolClientId,
        ...console,
      },
      memoryMb: 512,
      timeout: Duration.seconds(12),
    })
    // For the client's secret, which no setting has to hold.
    this.openIdProvider.role.addToPolicy(
      new PolicyStatement({
        actions: ['cognito-idp:DescribeUserPoolClient'],
        resources: [cognito.pool.userPoolArn],
      }),
    )

    // The settings of all functions but the migration.
    const environment = {
      ...db.environment,
      DATABASE_URL: db.url(database.service),
      REDIS_URL: cache.url,
      AVATAR_BUCKET: avatars.bucketName,
      AVATAR_BASE_URL: site.origin,
      COGNITO_USER_POOL_ID: cognito.pool.userPoolId,
      COGNITO_CLIENT_ID: `${cognito.webClient.userPoolClientId},${cognito.machineClient.userPoolClientId}`,
      ...(bus && { EVENT_BUS: bus.eventBusName }),
      USER_POOL_FUNCTION: this.userPool.alias.functionArn,
    }

    this.api = addFunction('api', {
      description: 'The HTTP API and the console’s backend',
      environment: {
        ...environment,
        ...console,
        CORS_ORIGINS: webOrigins(stage).join(),
        OPENID_PROVIDER_FUNCTION: this.openIdProvider.alias.functionArn,
      },
      // Enough to decode a 40 megapixel image. From 1,769 MB on a function has a whole processor.
      memoryMb: 1_792,
      // Calls to other services time out much earlier; decoding a large image takes a second or two.
      timeout: Duration.seconds(15),
      concurrency: stage.concurrency?.api,
      vpc: inVpc(db.clients, cache.clients, endpoints.clients),
    })
    avatars.grantWrite(this.api.role)
    avatars.grantJobFiles(this.api.role)
    this.userPool.alias.grantInvoke(this.api.role)
    this.openIdProvider.alias.grantInvoke(this.api.role)

    this.signIn = addFunction('sign-in', {
      description: 'Cognito triggers: user migration and pre token generation',
      environment,
      // Hashing a password occupies one processor.
      memoryMb: 1_792,
      // The limit of Cognito.
      timeout: Duration.seconds(5),
      concurrency: stage.concurrency?.signIn,
      vpc: inVpc(db.clients, cache.clients),
    })
    this.signIn.alias.addPermission('Cognito', {
      principal: new ServicePrincipal('cognito-idp.amazonaws.com'),
      sourceArn: cognito.pool.userPoolArn,
    })

    this.deliver = addFunction('deliver', {
      description: 'Delivers the outbox to Cognito and the event bus',
      environment,
      memoryMb: 256,
      // It stops working five seconds earlier.
      timeout: Duration.seconds(stage.delivery.seconds),
      concurrency: stage.concurrency && 1,
      vpc: inVpc(db.clients, cache.clients, endpoints.clients),
    })
    bus?.grantPutEventsTo(this.deliver.role)
    this.userPool.alias.grantInvoke(this.deliver.role)

    this.refresh = addFunction('refresh', {
      description: 'The daily revalidation of the cache and the avatars',
      environment,
      // It used 400 MB for a million entries.
      memoryMb: 512,
      timeout: Duration.minutes(15),
      concurrency: stage.concurrency && 1,
      vpc: inVpc(db.clients, cache.clients, endpoints.clients),
    })
    avatars.grantSweep(this.refresh.role)

    this.runJobs = addFunction('run-jobs', {
      description: 'Imports and exports',
      environment,
      // A whole processor, because an import checks each row.
      memoryMb: 1_792,
      // Lambda's limit. It gives an unfinished job back before that.
      timeout: Duration.minutes(15),
      concurrency: stage.concurrency && 1,
      vpc: inVpc(db.clients, cache.clients, endpoints.clients),
    })
    avatars.grantMove(this.runJobs.role)
    avatars.grantJobFiles(this.runJobs.role)

    const withDatabase = [this.api, this.signIn, this.deliver, this.refresh, this.runJobs]
    for (const { role } of withDatabase) {
      db.grantConnect(role, database.service)
      cache.grantConnect(role)
    }

    this.migrate = addFunction('migrate', {
      description: 'Migrates the database schema',
      environment: {
        ...environment,
        DATABASE_URL: db.url(database.owner),
        DATABASE_SERVICE_ROLE: database.service,
      },
      memoryMb: 256,
      timeout: migrationTimeout,
      vpc: inVpc(db.clients),
    })
    db.grantConnect(this.migrate.role, database.owner)

    // Runs when its code or settings change, before any alias moves. If it fails, CloudFormation rolls back and no alias has
    // moved. The rollback runs the previous migrations again, which find nothing to do. The previous code works with the
    // new schema, because migrations only add.
    const migration = new Trigger(this, 'Migration', {
      handler: this.migrate.function,
      timeout: migrationTimeout,
    })
    for (const { alias } of withDatabase) migration.executeBefore(alias)
  }
}
