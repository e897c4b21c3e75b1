// Valkey, over TLS and with IAM authentication. Cluster mode is off, because the cache protocol needs one primary.
import { ArnFormat, Stack } from 'aws-cdk-lib'
import type { SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import { CfnReplicationGroup, CfnSubnetGroup, CfnUser, CfnUserGroup } from 'aws-cdk-lib/aws-elasticache'
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { cacheAccess } from '../cache-access.ts'
import { accept } from '../nag.ts'
import { prefix } from '../names.ts'
import type { StageProps } from '../stages.ts'
import { connect, type Network } from './network.ts'

const port = 6379

export class Cache extends Construct {
  /** Members may connect. */
  readonly clients: SecurityGroup
  /** The replication group's id. */
  readonly name: string
  readonly #group: CfnReplicationGroup
  readonly #user: string

  constructor(
    scope: Construct,
    id: string,
    { stageName, stage, network }: StageProps & { network: Network },
  ) {
    super(scope, id)
    const serverGroup = network.group('CacheGroup', 'Valkey')
    this.clients = network.group('CacheClients', 'Functions that use Valkey')
    connect(this.clients, serverGroup, { port, description: 'Valkey' })

    // With IAM authentication a user's name and id are the same.
    this.#user = prefix(stageName)
    const user = new CfnUser(this, 'User', {
      engine: 'valkey',
      userId: this.#user,
      userName: this.#user,
      authenticationMode: { Type: 'iam' },
      accessString: cacheAccess,
    })
    // Without the user `default`, so that nothing else can log in. Valkey allows that; Redis OSS does not.
    const users = new CfnUserGroup(this, 'Users', {
      engine: 'valkey',
      userGroupId: this.#user,
      userIds: [user.ref],
    })

    const hasReplica = stage.cache.replicas > 0
    this.#group = new CfnReplicationGroup(this, 'Servers', {
      replicationGroupDescription: `The cache of ${prefix(stageName)}`,
      engine: 'valkey',
      engineVersion: '8.1',
      clusterMode: 'disabled',
      cacheParameterGroupName: 'default.valkey8',
      cacheNodeType: stage.cache.nodeType,
      numCacheClusters: 1 + stage.cache.replicas,
      automaticFailoverEnabled: hasReplica,
      multiAzEnabled: hasReplica,
      port,
      cacheSubnetGroupName: new CfnSubnetGroup(this, 'Subnets', {
        description: 'Isolated subnets',
        subnetIds: network.vpc.selectSubnets(network.subnets).subnetIds,
      }).ref,
      securityGroupIds: [serverGroup.securityGroupId],
      userGroupIds: [users.ref],
      transitEncryptionEnabled: true,
      transitEncryptionMode: 'required',
      atRestEncryptionEnabled: true,
      autoMinorVersionUpgrade: true,
      // It holds copies only.
      snapshotRetentionLimit: 0,
    })
    this.name = this.#group.ref
    accept(this.#group, {
      'AwsSolutions-AEC6': 'Users are authenticated by their roles, which no shared password is as good as.',
      'AwsSolutions-AEC5':
        'The port is reachable from the service’s functions alone; another number would hide nothing.',
      ...(!hasReplica && { 'AwsSolutions-AEC4': 'This stage can do without its cache for some minutes.' }),
    })
  }

  get url(): string {
    return `rediss://${this.#user}@${this.#group.attrPrimaryEndPointAddress}:${port}?iam_cache=${this.name}`
  }

  grantConnect(role: IRole): void {
    const arn = (resource: string, resourceName: string) =>
      Stack.of(this).formatArn({
        service: 'elasticache',
        resource,
        resourceName,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      })
    role.addToPrincipalPolicy(
      new PolicyStatement({
        actions: ['elasticache:Connect'],
        resources: [arn('replicationgroup', this.name), arn('user', this.#user)],
      }),
    )
  }
}
