// PostgreSQL behind RDS Proxy. Nobody holds a password: functions prove who they are by their roles.
//
// Two database roles. The owner of the tables is RDS' master user; its password is made and renewed by RDS, and
// only the proxy may read it. The migrations' function, and it alone, may log in to the proxy as the owner. It
// also makes the second role, for all other functions, which may read and write rows and nothing else; the proxy
// logs in as that one by IAM (`DefaultAuthScheme`), so that there is no second password to keep. The role's own
// settings limit its statements' time: the proxy passes on none that a client asks for.
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
import type { Stage, StageName } from '../stages.ts'
import { logGroup, removalPolicy } from './log-group.ts'
import { connect, type Network } from './network.ts'

const port = 5432

export class Database extends Construct {
  readonly instance: DatabaseInstance
  /** Members may connect. */
  readonly clients: SecurityGroup
  readonly #proxy: DatabaseProxy | undefined

  constructor(scope: Construct, id: string, stageName: StageName, stage: Stage, network: Network) {
    super(scope, id)
    // The major version of the tests and of the embedded default. RDS chooses the minor one.
    const engine = DatabaseInstanceEngine.postgres({ version: PostgresEngineVersion.VER_18 })
    const instanceGroup = network.group('DatabaseGroup', 'PostgreSQL')
    this.clients = network.group('DatabaseClients', 'Functions that use PostgreSQL')

    // Made before RDS makes them, which would keep logs for ever.
    const name = prefix(stageName)
    const logs = ['postgresql', 'upgrade'].map((kind) =>
      logGroup(this, `Logs-${kind}`, stage, `/aws/rds/instance/${name}/${kind}`),
    )
    this.instance = new DatabaseInstance(this, 'Instance', {
      // Its own name also keeps CloudFormation from ever replacing it by an empty one.
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
          // A broken constraint's detail, and a failed statement, would bring users' data into the log.
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
      // A deployment with another major version upgrades: docs/deployment.md.
      allowMajorVersionUpgrade: true,
      cloudwatchLogsExports: ['postgresql', 'upgrade'],
      enablePerformanceInsights: true,
      performanceInsightRetention: PerformanceInsightRetention.DEFAULT,
    })
    this.instance.node.addDependency(...logs)

    if (stage.database.proxy) this.#proxy = this.#addProxy(name, network, instanceGroup)
    else {
      connect(this.clients, instanceGroup, port, 'PostgreSQL')
      // The proxy alone can read a password that RDS keeps; without it the owner logs in by IAM as well.
      const instance = this.instance.node.defaultChild as CfnDBInstance
      instance.masterUserAuthenticationType = 'iam-db-auth'
      instance.manageMasterUserPassword = undefined
    }
    accept(this.instance, {
      'AwsSolutions-RDS11':
        'The port is reachable from the service’s security groups alone; another number would hide nothing.',
      ...(!stage.database.standby && { 'AwsSolutions-RDS3': 'This stage can do without a standby.' }),
      ...(!stage.keepsData && {
        'AwsSolutions-RDS10': 'This stage holds nothing that is to be kept.',
      }),
    })
  }

  /** Where `user` connects. */
  url(user: string): string {
    const host = this.#proxy?.endpoint ?? this.instance.instanceEndpoint.hostname
    return `postgres://${user}@${host}:${port}/${database.name}?auth=iam`
  }

  /**
   * Settings by which a function trusts the server. RDS's certificates are signed by its own authority, which Lambda's
   * runtime has in this file; the proxy's are signed by a public one.
   * https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html
   */
  get environment(): Record<string, string> {
    return this.#proxy ? {} : { NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem' }
  }

  /** Lets `role` log in as `user`. */
  grantConnect(role: IRole, user: string): void {
    if (this.#proxy) this.#proxy.grantConnect(role, user)
    else this.instance.grantConnect(role, user)
  }

  #addProxy(name: string, network: Network, instanceGroup: SecurityGroup): DatabaseProxy {
    const proxyGroup = network.group('ProxyGroup', 'RDS Proxy')
    connect(this.clients, proxyGroup, port, 'PostgreSQL by the proxy')
    connect(proxyGroup, instanceGroup, port, 'PostgreSQL')
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
    if (!secret) throw new Error('RDS has been asked to manage the owner’s password')
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
      // Some are left for who looks into the database by hand.
      maxConnectionsPercent: 90,
      // No longer than a function waits for a connection.
      borrowTimeout: Duration.seconds(1),
    })
  }
}
