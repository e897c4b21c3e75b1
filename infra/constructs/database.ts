// PostgreSQL behind RDS Proxy, with IAM authentication and two database roles: docs/adr/0013-two-database-roles.md.
import { ArnFormat, Duration, Stack } from 'aws-cdk-lib'
import { InstanceType, type SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { type IRole, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  CaCertificate,
  type CfnDBInstance,
  Credentials,
  DatabaseInstance,
  DatabaseInstanceEngine,
  type DatabaseProxy,
  DefaultAuthScheme,
  ParameterGroup,
  PerformanceInsightRetention,
  PostgresEngineVersion,
  StorageType,
} from 'aws-cdk-lib/aws-rds'
import { Construct } from 'constructs'
import { accept } from '../nag.ts'
import { database, prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { logGroup, removalPolicy } from './log-group.ts'
import { connect, type Network } from './network.ts'

const port = 5432

export class Database extends Construct {
  readonly instance: DatabaseInstance
  /** Members may connect. */
  readonly clients: SecurityGroup
  readonly #proxy: DatabaseProxy | undefined

  constructor(
    scope: Construct,
    id: string,
    { stageName, stage, network }: StageProps & { network: Network },
  ) {
    super(scope, id)
    // The same major version as in the tests and the embedded PostgreSQL. RDS chooses the minor version.
    const engine = DatabaseInstanceEngine.postgres({ version: PostgresEngineVersion.VER_18 })
    const instanceGroup = network.group('DatabaseGroup', 'PostgreSQL')
    this.clients = network.group('DatabaseClients', 'Functions that use PostgreSQL')

    // Created here, because RDS would create log groups without retention.
    const name = prefix(stageName)
    const logs = ['postgresql', 'upgrade'].map((kind) =>
      logGroup(this, `Logs-${kind}`, { stage, name: `/aws/rds/instance/${name}/${kind}` }),
    )
    this.instance = new DatabaseInstance(this, 'Instance', {
      // A fixed name also prevents CloudFormation from replacing the instance by an empty one.
      instanceIdentifier: name,
      engine,
      instanceType: new InstanceType(stage.database.instanceType),
      vpc: network.vpc,
      vpcSubnets: network.subnets,
      securityGroups: [instanceGroup],
      port,
      publiclyAccessible: false,
      databaseName: database.name,
      credentials: Credentials.fromUsername(database.owner),
      manageMasterUserPassword: true,
      iamAuthentication: true,
      caCertificate: CaCertificate.RDS_CA_RSA2048_G1,
      parameterGroup: new ParameterGroup(this, 'Parameters', {
        engine,
        parameters: {
          'rds.force_ssl': '1',
          // Details of constraint violations and failed statements contain users' data.
          log_error_verbosity: 'terse',
          log_min_error_statement: 'panic',
        },
      }),
      storageType: StorageType.GP3,
      storageEncrypted: true,
      allocatedStorage: stage.database.storageGb,
      maxAllocatedStorage: stage.database.storageGbMax,
      multiAz: stage.database.standby,
      backupRetention: Duration.days(stage.database.backupDays),
      copyTagsToSnapshot: true,
      deleteAutomatedBackups: !stage.keepsData,
      deletionProtection: stage.keepsData,
      removalPolicy: removalPolicy(stage),
      autoMinorVersionUpgrade: true,
      // A deployment with a higher major version upgrades the instance: docs/deployment.md.
      allowMajorVersionUpgrade: true,
      cloudwatchLogsExports: ['postgresql', 'upgrade'],
      enablePerformanceInsights: true,
      performanceInsightRetention: PerformanceInsightRetention.DEFAULT,
    })
    this.instance.node.addDependency(...logs)

    if (stage.database.proxy) this.#proxy = this.#addProxy(name, network, instanceGroup)
    else {
      connect(this.clients, instanceGroup, { port, description: 'PostgreSQL' })
      // Only the proxy may read the password that RDS manages. Without a proxy the owner logs in with IAM, too.
      const instance = this.instance.node.defaultChild as CfnDBInstance
      instance.masterUserAuthenticationType = 'iam-db-auth'
      instance.manageMasterUserPassword = undefined
    }
    accept(this.instance, {
      'AwsSolutions-RDS11':
        'Only the service’s security groups can reach the port, so another number would not help.',
      ...(!stage.database.standby && { 'AwsSolutions-RDS3': 'This stage omits the standby to save costs.' }),
      ...(!stage.keepsData && {
        'AwsSolutions-RDS10': 'This stage holds no data that must be kept.',
      }),
    })
  }

  /** The connection URL for `user`. */
  url(user: string): string {
    const host = this.#proxy?.endpoint ?? this.instance.instanceEndpoint.hostname
    return `postgres://${user}@${host}:${port}/${database.name}?auth=iam`
  }

  /**
   * Settings for TLS to the server. RDS signs its certificates with its own authority, which Lambda's runtime includes
   * in this file. The proxy has publicly trusted certificates.
   * https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html
   */
  get environment(): Record<string, string> {
    return this.#proxy ? {} : { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' }
  }

  /** Allows `role` to log in as `user`. */
  grantConnect(role: IRole, user: string): void {
    if (this.#proxy) this.#proxy.grantConnect(role, user)
    else this.instance.grantConnect(role, user)
  }

  #addProxy(name: string, network: Network, instanceGroup: SecurityGroup): DatabaseProxy {
    const proxyGroup = network.group('ProxyGroup', 'RDS Proxy')
    connect(this.clients, proxyGroup, { port, description: 'PostgreSQL through the proxy' })
    connect(proxyGroup, instanceGroup, { port, description: 'PostgreSQL' })
    const role = new Role(this, 'ProxyRole', { assumedBy: new ServicePrincipal('rds.amazonaws.com') })
    role.addToPolicy(
      new PolicyStatement({
        actions: ['rds-db:connect'],
        resources: [
          Stack.of(this).formatArn({
            service: 'rds-db',
            resource: 'dbuser',
            resourceName: `${this.instance.instanceResourceId}/${database.service}`,
            arnFormat: ArnFormat.COLON_RESOURCE_NAME,
          }),
        ],
      }),
    )
    const { secret } = this.instance
    if (!secret) throw new Error('the instance has no secret, although RDS manages the owner’s password')
    return this.instance.addProxy('Proxy', {
      dbProxyName: name,
      vpc: network.vpc,
      vpcSubnets: network.subnets,
      securityGroups: [proxyGroup],
      role,
      requireTLS: true,
      iamAuth: true,
      secrets: [secret],
      defaultAuthScheme: DefaultAuthScheme.IAM_AUTH,
      // Leaves some connections for operators.
      maxConnectionsPercent: 90,
      // As long as a function waits for a connection.
      borrowTimeout: Duration.seconds(1),
    })
  }
}
