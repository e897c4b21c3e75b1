// Restores a stage's database to an earlier time: a new instance takes over the name of the current one, which is kept under
// another name. Each step first checks the state on AWS, so an interrupted run can be repeated.
import { setTimeout as delay } from 'node:timers/promises'
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
import { type Clients, grantLogins, migrateRestored, startRevalidation } from './restore-service.ts'
import { clientLimits } from './stage.ts'

// Large volumes take hours to restore.
const waitMsMax = 6 * 3_600_000
// The function starts, and may have to migrate an older schema.
const migrationLimits = { ...clientLimits.requestHandler, requestTimeout: 60_000 }
/** The tag with the time to which an instance was restored. */
const tagKey = 'restored-to'

type Options = {
  stage: StageName
  to: Date
  dryRun: boolean
  print: (text: string) => void
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

/** @throws Error with the reason why it cannot start, or with the step that failed */
export async function restoreDatabase(options: Options): Promise<void> {
  const clients: Clients = {
    rds: new RDSClient(clientLimits),
    iam: new IAMClient(clientLimits),
    lambda: new LambdaClient({ ...clientLimits, requestHandler: migrationLimits }),
  }
  try {
    assertPossible(await readState(clients.rds, options), options)
    for (const step of stepsOf(clients, options)) {
      const state = await readState(clients.rds, options)
      if (step.isDone(state)) continue
      options.print(`${options.dryRun ? 'would ' : ''}${step.text}`)
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

async function readState(rds: RDSClient, { stage }: Options): Promise<State> {
  const id = names(stage)
  const [main, restored, before, [proxy]] = await Promise.all([
    find(rds, id.main),
    find(rds, id.restored),
    find(rds, id.before),
    emptyIf(
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
  const [instance] = await emptyIf(
    'DBInstanceNotFoundFault',
    async () => (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }))).DBInstances,
  )
  return instance
}

async function emptyIf<T>(fault: string, work: () => Promise<T[] | undefined>): Promise<T[]> {
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
  const unfinished = restored ?? (before && main)
  if (unfinished) {
    if (restoredTo(unfinished) === wanted) return
    const leftover = restored ?? before
    throw new Error(
      `${leftover?.DBInstanceIdentifier} is left over from a restore to ${restoredTo(unfinished) ?? 'an unknown time'}. To finish that restore, pass the same time. Otherwise delete the instance when it is no longer needed:\n  aws rds delete-db-instance --db-instance-identifier ${leftover?.DBInstanceIdentifier} --skip-final-snapshot`,
    )
  }
  if (!main && !before)
    throw new Error(
      `The database ${name} does not exist in this account and region. Is the stage deployed here?`,
    )
  const latest = main?.LatestRestorableTime
  if (main && (!latest || to > latest))
    throw new Error(
      `--to must not be later than ${latest?.toISOString() ?? 'the first backup, which does not exist yet'}, the latest time to which ${name} can be restored.`,
    )
}

function stepsOf(clients: Clients, options: Options): Step[] {
  const { rds } = clients
  const { stage, to } = options
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
      text: `restore ${main} to ${to.toISOString()} as ${restored}, which takes ten minutes to several hours`,
      isDone: (state) => state.restored !== undefined || isSwitched(state),
      run: async ({ main: source }) => {
        if (source) await rds.send(new RestoreDBInstanceToPointInTimeCommand(copyOf(source, options)))
      },
    },
    {
      text: `wait for ${restored}, then set its backup retention and Performance Insights as on ${main}`,
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
      text: `deregister ${main} from the proxy; from now on the API answers from the cache or with 503`,
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
      text: `rename ${restored} to ${main}, the name that CloudFormation knows`,
      isDone: isSwitched,
      run: () => rename(restored, main),
    },
    {
      text: 'allow the roles of the service to log in to the new instance',
      isDone: () => false,
      run: (state) => grantLogins(clients, { stage, instance: state.main, proxy: state.proxy }),
    },
    {
      text: 'set the new instance’s secret on the proxy',
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
      text: `register ${main} with the proxy and wait until it is available`,
      isDone: ({ proxy, targets, before: old }) =>
        !proxy || (old !== undefined && targets.some(({ id, isAvailable }) => id === main && isAvailable)),
      run: async ({ targets }) => {
        if (!targets.some(({ id }) => id === main))
          await rds.send(
            new RegisterDBProxyTargetsCommand({ DBProxyName: main, DBInstanceIdentifiers: [main] }),
          )
        await waitFor(options, 'the proxy to reach the database', async () =>
          (await readState(rds, options)).targets.some(({ id, isAvailable }) => id === main && isAvailable),
        )
      },
    },
    {
      text: 'migrate its schema, and empty the cache, whose entries may be newer than the database',
      isDone: () => false,
      run: () => migrateRestored(clients, stage),
    },
    {
      text: 'start the revalidation of the cache and the avatars',
      isDone: () => false,
      run: () => startRevalidation(clients, stage),
    },
  ]
}

/** The settings of the current instance, for the new one. */
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
    // If RDS manages the owner's password, the new instance gets its own secret.
    ...(source.MasterUserSecret && { ManageMasterUserPassword: true }),
    EnableCloudwatchLogsExports: source.EnabledCloudwatchLogsExports,
    DeletionProtection: source.DeletionProtection,
    AutoMinorVersionUpgrade: source.AutoMinorVersionUpgrade,
    CopyTagsToSnapshot: source.CopyTagsToSnapshot,
    CACertificateIdentifier: source.CACertificateIdentifier,
    Tags: [
      // AWS's own tags cannot be set.
      ...(source.TagList ?? []).filter(({ Key = '' }) => !Key.startsWith('aws:') && Key !== tagKey),
      { Key: tagKey, Value: to.toISOString() },
    ],
  }
}

async function waitFor(
  { pollMs = 15_000 }: Options,
  goal: string,
  isReached: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + waitMsMax
  while (!(await isReached())) {
    if (performance.now() > deadline)
      throw new Error(`Timed out waiting for ${goal}. Check it in RDS, then run this again to continue.`)
    await delay(pollMs)
  }
}
