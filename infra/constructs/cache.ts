// Valkey, over TLS and with IAM authentication: a single server, or a cluster of several shards.
import { ArnFormat, Stack } from 'aws-cdk-lib'
import type { SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import {
  CfnParameterGroup,
  CfnReplicationGroup,
  CfnSubnetGroup,
  CfnUser,
  CfnUserGroup,
} from 'aws-cdk-lib/aws-elasticache'
import { type IRole, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { Construct } from 'constructs'
import { cacheAccess, clusterCacheAccess } from '../cache-access.ts'
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
  /** The address of the primary, or of any node of a cluster. */
  readonly #host: string
  readonly #isCluster: boolean
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

    const shards = stage.cacheShards ?? 0
    this.#isCluster = shards > 0
    // With IAM authentication a user's name and id are the same.
    this.#user = prefix(stageName)
    const user = new CfnUser(this, 'User', {
      engine: 'valkey',
      userId: this.#user,
      userName: this.#user,
      authenticationMode: { Type: 'iam' },
      accessString: this.#isCluster ? clusterCacheAccess : cacheAccess,
    })
    // Without the user `default`, so that nothing else can log in. Valkey allows that; Redis OSS does not.
    const users = new CfnUserGroup(this, 'Users', {
      engine: 'valkey',
      userGroupId: this.#user,
      userIds: [user.ref],
    })

    const { nodeType, replicas } = stage.cache
    const hasReplica = replicas > 0
    // Each kind has a logical id of its own, because no update of a stack turns one into the other.
    const group = new CfnReplicationGroup(this, this.#isCluster ? 'Shards' : 'Servers', {
      replicationGroupDescription: `The cache of ${prefix(stageName)}`,
      engine: 'valkey',
      engineVersion: '8.1',
      ...(this.#isCluster
        ? {
            clusterMode: 'enabled',
            cacheParameterGroupName: new CfnParameterGroup(this, 'ShardParameters', {
              description: 'Cluster mode',
              cacheParameterGroupFamily: 'valkey8',
              // Without full coverage, the other shards stay in use while one has no primary.
              properties: { 'cluster-enabled': 'yes', 'cluster-require-full-coverage': 'no' },
            }).ref,
            numNodeGroups: shards,
            replicasPerNodeGroup: replicas,
          }
        : {
            clusterMode: 'disabled',
            cacheParameterGroupName: 'default.valkey8',
            numCacheClusters: 1 + replicas,
          }),
      cacheNodeType: nodeType,
      // Cluster mode requires it even without replicas.
      automaticFailoverEnabled: this.#isCluster || hasReplica,
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
    // When the number of shards changes, AWS moves slots between them instead of replacing the cluster.
    if (this.#isCluster) group.cfnOptions.updatePolicy = { useOnlineResharding: true }
    this.name = group.ref
    this.#host = this.#isCluster ? group.attrConfigurationEndPointAddress : group.attrPrimaryEndPointAddress
    accept(group, {
      'AwsSolutions-AEC6': 'Users are authenticated by their roles, which no shared password is as good as.',
      'AwsSolutions-AEC5':
        'The port is reachable from the service’s functions alone; another number would hide nothing.',
      ...(!hasReplica && { 'AwsSolutions-AEC4': 'This stage can do without its cache for some minutes.' }),
    })
  }

  get url(): string {
    const mode = this.#isCluster ? '&cluster=true' : ''
    return `rediss://${this.#user}@${this.#host}:${port}?iam_cache=${this.name}${mode}`
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
