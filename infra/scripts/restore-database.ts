// Brings a stage's database back to an earlier time: a new instance takes the place and the name of the present one,
// which stays under another name. Each step looks at AWS first, so a run that was interrupted is repeated.
import { setTimeout as pause } from 'node:timers/promises'
import { ElastiCacheClient } from '@aws-sdk/client-elasticache'
import { IAMClient } from '@aws-sdk/client-iam'
import { LambdaClient } from '@aws-sdk/client-lambda'
import {
  type DBInstance,
  type DBProxy,
  DeregisterDBProxyTargetsCommand,
  DescribeDBInstancesCommand,
  DescribeDBProxiesCommand,
  DescribeDBProxyTargetsCommand,
  ModifyDBInstanceCommand,
  ModifyDBProxyCommand,
  RDSClient,
  RegisterDBProxyTargetsCommand,
  RestoreDBInstanceToPointInTimeCommand,
} from '@aws-sdk/client-rds'
import { prefix } from '../names.ts'
import type { StageName } from '../stages.ts'
import { emptyCache, grantLogins, startRevalidation } from './restore-service.ts'
import { clientLimits } from './stage.ts'

// Large volumes take hours to restore.
const waitMsMax = 6 * 3_600_000
/** Says of an instance which time it was restored to. */
const tagKey = 'restored-to'

type Options = {
  stage: StageName
  to: Date
  /** The replication group of the stage, an output of its stack. */
  cacheName: string
  dryRun: boolean
  say: (text: string) => void
  pollMs?: number
}

type State = {
  main?: DBInstance | undefined
  restored?: DBInstance | undefined
  before?: DBInstance | undefined
  proxy?: DBProxy | undefined
  targets: { id: string; isAvailable: boolean }[]
}

type Step = { text: string; isDone(state: State): boolean; run(state: State): Promise<unknown> }

export type Clients = { rds: RDSClient; iam: IAMClient; elastiCache: ElastiCacheClient; lambda: LambdaClient }

/** @throws Error that says why it cannot begin, or what could not be done */
export async function restoreDatabase(options: Options): Promise<void> {
  const clients: Clients = {
    rds: new RDSClient(clientLimits),
    iam: new IAMClient(clientLimits),
    elastiCache: new ElastiCacheClient(clientLimits),
    lambda: new LambdaClient(clientLimits),
  }
  try {
    assertPossible(await look(clients.rds, options), options)
    for (const step of stepsOf(clients, options)) {
      const state = await look(clients.rds, options)
      if (step.isDone(state)) continue
      options.say(`${options.dryRun ? 'would ' : ''}${step.text}`)
      if (!options.dryRun) await step.run(state)
    }
  } finally {
    for (const client of Object.values(clients)) client.destroy()
  }
}

const names = (stage: StageName) => {
  const main = prefix(stage)
  return { main, restored: `${main}-restored`, before: `${main}-before-restore` }
}

async function look(rds: RDSClient, { stage }: Options): Promise<State> {
  const id = names(stage)
  const [main, restored, before, [proxy]] = await Promise.all([
    find(rds, id.main),
    find(rds, id.restored),
    find(rds, id.before),
    orNone(
      'DBProxyNotFoundFault',
      async () => (await rds.send(new DescribeDBProxiesCommand({ DBProxyName: id.main }))).DBProxies,
    ),
  ])
  const targets = proxy
    ? (await rds.send(new DescribeDBProxyTargetsCommand({ DBProxyName: id.main }))).Targets
    : []
  return {
    main,
    restored,
    before,
    proxy,
    targets: (targets ?? []).map(({ RdsResourceId = '', TargetHealth }) => ({
      id: RdsResourceId,
      isAvailable: TargetHealth?.State === 'AVAILABLE',
    })),
  }
}

async function find(rds: RDSClient, id: string): Promise<DBInstance | undefined> {
  const [instance] = await orNone(
    'DBInstanceNotFoundFault',
    async () => (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }))).DBInstances,
  )
  return instance
}

async function orNone<T>(fault: string, work: () => Promise<T[] | undefined>): Promise<T[]> {
  try {
    return (await work()) ?? []
  } catch (error) {
    if ((error as Error).name === fault) return []
    throw error
  }
}

const restoredTo = (instance?: DBInstance) => instance?.TagList?.find(({ Key }) => Key === tagKey)?.Value

function assertPossible({ main, restored, before }: State, { stage, to }: Options): void {
  const wanted = to.toISOString()
  const { main: name } = names(stage)
  const begun = restored ?? (before && main)
  if (begun) {
    if (restoredTo(begun) === wanted) return
    const leftover = restored ?? before
    throw new Error(
      `${leftover?.DBInstanceIdentifier} is left of a restore to ${restoredTo(begun) ?? 'an unknown time'}. To finish that, give the same time. Otherwise remove it, once nobody needs it:\n  aws rds delete-db-instance --db-instance-identifier ${leftover?.DBInstanceIdentifier} --skip-final-snapshot`,
    )
  }
  if (!main && !before)
    throw new Error(`There is no database ${name} in this account and region: is the stage deployed here?`)
  const latest = main?.LatestRestorableTime
  if (main && (!latest || to > latest))
    throw new Error(
      `--to must not be later than ${latest?.toISOString() ?? 'the first backup, which has not been made yet'}, the latest time that ${name} can be restored to.`,
    )
}

function stepsOf(clients: Clients, options: Options): Step[] {
  const { rds } = clients
  const { stage, to, cacheName } = options
  const { main, restored, before } = names(stage)
  const isSwitched = (state: State) => state.main !== undefined && state.before !== undefined
  const rename = async (from: string, id: string) => {
    await rds.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier: from,
        NewDBInstanceIdentifier: id,
        ApplyImmediately: true,
      }),
    )
    await untilAvailable(id)
  }
  const untilAvailable = (id: string) =>
    waitFor(options, `${id} to be available`, async () => {
      const instance = await find(rds, id)
      const isStable =
        Object.keys(instance?.PendingModifiedValues ?? {}).length === 0 &&
        instance?.MasterUserSecret?.SecretStatus !== 'creating'
      return instance?.DBInstanceStatus === 'available' && isStable
    })
  return [
    {
      text: `restore ${main} to ${to.toISOString()} as ${restored}: this takes from ten minutes to hours`,
      isDone: (state) => state.restored !== undefined || isSwitched(state),
      run: async ({ main: source }) => {
        if (source) await rds.send(new RestoreDBInstanceToPointInTimeCommand(copyOf(source, options)))
      },
    },
    {
      text: `wait for ${restored}, then give it the backup retention and Performance Insights of ${main}`,
      isDone: isSwitched,
      run: async ({ main: source, before: old }) => {
        await untilAvailable(restored)
        await rds.send(
          new ModifyDBInstanceCommand({
            DBInstanceIdentifier: restored,
            BackupRetentionPeriod: (source ?? old)?.BackupRetentionPeriod,
            EnablePerformanceInsights: (source ?? old)?.PerformanceInsightsEnabled,
            ApplyImmediately: true,
          }),
        )
        await untilAvailable(restored)
      },
    },
    {
      text: `take ${main} from the proxy: from now on the API answers from the cache or with 503`,
      isDone: (state) => state.before !== undefined || !state.targets.some(({ id }) => id === main),
      run: () =>
        rds.send(new DeregisterDBProxyTargetsCommand({ DBProxyName: main, DBInstanceIdentifiers: [main] })),
    },
    {
      text: `rename ${main} to ${before}`,
      isDone: (state) => state.before !== undefined,
      run: () => rename(main, before),
    },
    {
      text: `rename ${restored} to ${main}, by which CloudFormation knows it`,
      isDone: isSwitched,
      run: () => rename(restored, main),
    },
    {
      text: 'let the roles of the service log in to the new instance',
      isDone: () => false,
      run: (state) => grantLogins(clients, { stage, instance: state.main, proxy: state.proxy }),
    },
    {
      text: 'give the proxy the new instance’s secret',
      isDone: ({ main: instance, proxy, before: old }) =>
        !proxy || (old !== undefined && proxy.Auth?.[0]?.SecretArn === instance?.MasterUserSecret?.SecretArn),
      run: ({ main: instance, proxy }) =>
        rds.send(
          new ModifyDBProxyCommand({
            DBProxyName: main,
            Auth: proxy?.Auth?.map(({ ClientPasswordAuthType: _, ...auth }) => ({
              ...auth,
              SecretArn: instance?.MasterUserSecret?.SecretArn,
            })),
          }),
        ),
    },
    {
      text: `give ${main} to the proxy again and wait until it is available`,
      isDone: ({ proxy, targets, before: old }) =>
        !proxy || (old !== undefined && targets.some(({ id, isAvailable }) => id === main && isAvailable)),
      run: async ({ targets }) => {
        if (!targets.some(({ id }) => id === main))
          await rds.send(
            new RegisterDBProxyTargetsCommand({ DBProxyName: main, DBInstanceIdentifiers: [main] }),
          )
        await waitFor(options, 'the proxy to reach the database', async () =>
          (await look(rds, options)).targets.some(({ id, isAvailable }) => id === main && isAvailable),
        )
      },
    },
    {
      text: `restart the nodes of the cache ${cacheName}: what it holds may be newer than the database`,
      isDone: () => false,
      run: () => emptyCache(clients, cacheName),
    },
    {
      text: 'start the revalidation of the cache and the avatars',
      isDone: () => false,
      run: () => startRevalidation(clients, stage),
    },
  ]
}

/** The present instance's settings, for the new one. */
function copyOf(source: DBInstance, { stage, to }: Options) {
  return {
    SourceDBInstanceIdentifier: source.DBInstanceIdentifier,
    TargetDBInstanceIdentifier: names(stage).restored,
    RestoreTime: to,
    DBInstanceClass: source.DBInstanceClass,
    DBSubnetGroupName: source.DBSubnetGroup?.DBSubnetGroupName,
    VpcSecurityGroupIds: source.VpcSecurityGroups?.flatMap(
      ({ VpcSecurityGroupId }) => VpcSecurityGroupId ?? [],
    ),
    DBParameterGroupName: source.DBParameterGroups?.[0]?.DBParameterGroupName,
    MultiAZ: source.MultiAZ,
    StorageType: source.StorageType,
    MaxAllocatedStorage: source.MaxAllocatedStorage,
    PubliclyAccessible: false,
    EnableIAMDatabaseAuthentication: true,
    // Where RDS keeps the owner's password, the new instance gets a secret of its own.
    ...(source.MasterUserSecret && { ManageMasterUserPassword: true }),
    EnableCloudwatchLogsExports: source.EnabledCloudwatchLogsExports,
    DeletionProtection: source.DeletionProtection,
    AutoMinorVersionUpgrade: source.AutoMinorVersionUpgrade,
    CopyTagsToSnapshot: source.CopyTagsToSnapshot,
    CACertificateIdentifier: source.CACertificateIdentifier,
    Tags: [
      // AWS's own cannot be set.
      ...(source.TagList ?? []).filter(({ Key = '' }) => !Key.startsWith('aws:') && Key !== tagKey),
      { Key: tagKey, Value: to.toISOString() },
    ],
  }
}

async function waitFor(
  { pollMs = 15_000 }: Options,
  what: string,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const giveUpAt = performance.now() + waitMsMax
  while (!(await isSo())) {
    if (performance.now() > giveUpAt)
      throw new Error(`Gave up waiting for ${what}. Look at it in RDS, then run this again: it continues.`)
    await pause(pollMs)
  }
}
