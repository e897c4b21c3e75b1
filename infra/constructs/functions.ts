// The functions, what each may reach, and the migration that comes before any new code.
import { Duration } from 'aws-cdk-lib'
import type { ISecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Trigger } from 'aws-cdk-lib/triggers'
import { Construct } from 'constructs'
import type { DataStack } from '../data-stack.ts'
import { database, type FunctionName } from '../names.ts'
import type { Stage, StageName } from '../stages.ts'
import { webOrigins } from './cors.ts'
import { type FunctionOptions, type FunctionPackage, ServiceFunction } from './service-function.ts'

// No migration takes longer than a function may.
const migrationMax = Duration.minutes(14)

export class Functions extends Construct {
  readonly api: ServiceFunction
  readonly refresh: ServiceFunction
  readonly migrate: ServiceFunction
  readonly signIn: ServiceFunction
  readonly deliver: ServiceFunction
  readonly userPool: ServiceFunction

  constructor(
    scope: Construct,
    id: string,
    stageName: StageName,
    stage: Stage,
    data: DataStack,
    functionPackage: FunctionPackage,
  ) {
    super(scope, id)
    const { database: db, cache, avatars, signIn, bus, network, endpoints } = data
    const make = (name: FunctionName, options: Omit<FunctionOptions, keyof FunctionPackage>) =>
      new ServiceFunction(this, name, stageName, stage, { ...functionPackage, ...options })
    const within = (...groups: ISecurityGroup[]) => ({ network, groups })

    // Cognito takes no calls over a private endpoint for a pool that has a sign-in page ("PrivateLink access is
    // disabled for the user pool that has ManagedLogin configured"), and from the isolated subnets there is no
    // other way. So this one function stands outside of them. It reaches nothing but the pool.
    // https://docs.aws.amazon.com/cognito/latest/developerguide/vpc-interface-endpoints.html
    this.userPool = make('user-pool', {
      description: 'Carries changes of users to Cognito',
      environment: { COGNITO_USER_POOL_ID: signIn.pool.userPoolId },
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
        resources: [signIn.pool.userPoolArn],
      }),
    )

    // All but the migrations start from the same settings.
    const environment = {
      ...db.environment,
      DATABASE_URL: db.url(database.service),
      REDIS_URL: cache.url,
      AVATAR_BUCKET: avatars.bucketName,
      AVATAR_BASE_URL: avatars.baseUrl,
      COGNITO_USER_POOL_ID: signIn.pool.userPoolId,
      COGNITO_CLIENT_ID: `${signIn.webClient.userPoolClientId},${signIn.machineClient.userPoolClientId}`,
      ...(bus && { EVENT_BUS: bus.eventBusName }),
      USER_POOL_FUNCTION: this.userPool.alias.functionArn,
    }

    this.api = make('api', {
      description: 'The API',
      environment: { ...environment, CORS_ORIGINS: webOrigins(stage).join() },
      // A 40 megapixel image is decoded in it; and a function has a processor of its own from 1,769 MB on.
      memoryMb: 1_792,
      // Every call out has its own limit far below; decoding a large image takes a second or two.
      timeout: Duration.seconds(15),
      concurrency: stage.concurrency?.api,
      within: within(db.clients, cache.clients, endpoints.clients),
    })
    avatars.grantWrite(this.api.role)
    this.userPool.alias.grantInvoke(this.api.role)

    this.signIn = make('sign-in', {
      description: 'What Cognito asks at a sign-in and before each token',
      environment,
      // A password's hash takes one processor.
      memoryMb: 1_792,
      // Cognito waits no longer.
      timeout: Duration.seconds(5),
      concurrency: stage.concurrency?.signIn,
      within: within(db.clients, cache.clients),
    })
    this.signIn.alias.addPermission('Cognito', {
      principal: new ServicePrincipal('cognito-idp.amazonaws.com'),
      sourceArn: signIn.pool.userPoolArn,
    })

    this.deliver = make('deliver', {
      description: 'Brings what the outbox holds to Cognito and to the event bus',
      environment,
      memoryMb: 256,
      // It works until five seconds before.
      timeout: Duration.seconds(stage.delivery.seconds),
      concurrency: stage.concurrency && 1,
      within: within(db.clients, cache.clients, endpoints.clients),
    })
    bus?.grantPutEventsTo(this.deliver.role)
    this.userPool.alias.grantInvoke(this.deliver.role)

    this.refresh = make('refresh', {
      description: 'The daily revalidation of the cache and the avatars',
      environment,
      // 400 MB were seen at a million entries.
      memoryMb: 512,
      timeout: Duration.minutes(15),
      concurrency: stage.concurrency && 1,
      within: within(db.clients, cache.clients, endpoints.clients),
    })
    avatars.grantSweep(this.refresh.role)

    for (const { role } of [this.api, this.signIn, this.deliver, this.refresh]) {
      db.grantConnect(role, database.service)
      cache.grantConnect(role)
    }

    this.migrate = make('migrate', {
      description: 'Brings the schema up to date',
      environment: {
        ...environment,
        DATABASE_URL: db.url(database.owner),
        DATABASE_SERVICE_ROLE: database.service,
      },
      memoryMb: 256,
      timeout: migrationMax,
      within: within(db.clients),
    })
    db.grantConnect(this.migrate.role, database.owner)

    // Called whenever its code or settings have changed, and before any alias moves. On a failure CloudFormation
    // takes the update back: no alias has moved then. It calls the former migrations too, which find nothing to
    // do, and the former code runs on with the schema as it is, since migrations only add.
    const migration = new Trigger(this, 'Migration', {
      handler: this.migrate.function,
      timeout: migrationMax,
    })
    for (const { alias } of [this.api, this.signIn, this.deliver, this.refresh])
      migration.executeBefore(alias)
  }
}
