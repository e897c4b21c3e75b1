// Reads and rolls back the alias `live` of a stage's functions.
import { setTimeout as delay } from 'node:timers/promises'
import { CodeDeployClient, ListDeploymentsCommand, StopDeploymentCommand } from '@aws-sdk/client-codedeploy'
import {
  type AliasConfiguration,
  GetAliasCommand,
  LambdaClient,
  ListVersionsByFunctionCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-lambda'
import { aliasName, type FunctionName, functionName } from '../names.ts'
import type { StageName } from '../stages.ts'
import { clientLimits } from './stage.ts'

/** The functions that can be rolled back. Migrations cannot: the old code works with the new schema. */
export const servingFunctions = Object.keys({
  api: true,
  refresh: true,
  'sign-in': true,
  deliver: true,
  'run-jobs': true,
  'user-pool': true,
  'openid-provider': true,
} satisfies Record<Exclude<FunctionName, 'migrate'>, true>) as FunctionName[]

// 5,000 versions, more than the 75 GB of code that an account may store.
const pagesMax = 100
// Longer than CodeDeploy needs. After that the script itself moves the alias.
const stopMsMax = 60_000
const pollMs = 500

export type Aliases = {
  /** @returns the current version of each deployed function, in the form that `rollBack` accepts */
  versions(): Promise<string[]>
  /**
   * Stops a deployment in progress, then points the alias at one published version.
   * @param to such as `12` or `api:12`; if absent, the API's older version in a deployment, or its previous version
   * @throws Error without any change if the version does not exist
   */
  rollBack(options: { to?: string[] | undefined; dryRun?: boolean }): Promise<void>
  close(): void
}

/** @param print receives each progress line */
export function openAliases(stage: StageName, print: (text: string) => void): Aliases {
  const lambda = new LambdaClient(clientLimits)
  const codeDeploy = new CodeDeployClient(clientLimits)

  const aliasOf = (name: string): Promise<AliasConfiguration> =>
    lambda.send(new GetAliasCommand({ FunctionName: name, Name: aliasName }))

  const deploymentsInProgress = async (): Promise<string[]> => {
    const { deployments } = await codeDeploy.send(
      new ListDeploymentsCommand({
        applicationName: functionName(stage, 'api'),
        deploymentGroupName: functionName(stage, 'api'),
        includeOnlyStatuses: ['Created', 'Queued', 'InProgress', 'Baking', 'Ready'],
      }),
    )
    return deployments ?? []
  }

  /** @returns whether a deployment was in progress */
  const stopDeployment = async (dryRun: boolean): Promise<boolean> => {
    const inProgress = await deploymentsInProgress()
    for (const deploymentId of inProgress) {
      print(`${deploymentId}: ${dryRun ? 'would stop' : 'stopping'} the deployment.`)
      if (dryRun) continue
      const command = new StopDeploymentCommand({ deploymentId, autoRollbackEnabled: true })
      await codeDeploy.send(command).catch((error: Error) => {
        // It ended in the meantime.
        if (error.name !== 'DeploymentAlreadyCompletedException') throw error
      })
    }
    if (inProgress.length === 0 || dryRun) return inProgress.length > 0
    const deadline = performance.now() + stopMsMax
    // CodeDeploy rolls the alias back with a further deployment.
    while ((await deploymentsInProgress()).length > 0 && performance.now() < deadline) await delay(pollMs)
    print('CloudFormation rolls its stack back, too. Wait for that before the next deployment.')
    return true
  }

  const publishedVersions = async (name: string): Promise<number[]> => {
    const versions: number[] = []
    let marker: string | undefined
    for (let page = 0; page < pagesMax; page++) {
      const { Versions = [], NextMarker } = await lambda.send(
        new ListVersionsByFunctionCommand({ FunctionName: name, MaxItems: 50, Marker: marker }),
      )
      for (const { Version } of Versions) if (Version !== '$LATEST') versions.push(Number(Version))
      if (!NextMarker) return versions
      marker = NextMarker
    }
    throw new Error(
      `${name} has more than ${versions.length} versions. Delete unused ones, then run this again.`,
    )
  }

  const moveAlias = async (
    name: string,
    alias: AliasConfiguration,
    { wanted, dryRun }: { wanted: string | undefined; dryRun: boolean },
  ): Promise<void> => {
    const published = await publishedVersions(name)
    const version = wanted ?? versionBefore(alias, published)
    if (version === undefined || !published.includes(Number(version)))
      throw new Error(
        `${name} has no version ${version ?? `before ${alias.FunctionVersion}`}. Nothing was changed. Choose a published version: ${published.join(', ') || 'none'}.`,
      )
    if (version === alias.FunctionVersion && weights(alias).length === 0)
      return print(`${name}: ${aliasName} is at version ${version}.`)
    print(
      `${name}: ${dryRun ? 'would move' : 'moving'} ${aliasName} from ${shares(alias)} to version ${version}.`,
    )
    if (dryRun) return
    const changed = await lambda
      .send(
        new UpdateAliasCommand({
          FunctionName: name,
          Name: aliasName,
          FunctionVersion: version,
          RoutingConfig: { AdditionalVersionWeights: {} },
          // Fails if the alias has changed since it was read.
          RevisionId: alias.RevisionId,
        }),
      )
      .catch((error: Error) => {
        if (error.name !== 'PreconditionFailedException') throw error
        throw new Error(
          `${name}: ${aliasName} was changed by someone else in the meantime. Check it, then run this again.`,
        )
      })
    print(`${name}: ${aliasName} is at ${shares(changed)}.`)
  }

  return {
    versions: async () => {
      const found = await Promise.all(
        servingFunctions.map(async (short) => {
          const alias = await aliasOf(functionName(stage, short)).catch((error: Error) => {
            if (error.name !== 'ResourceNotFoundException') throw error
          })
          return alias ? [`${short}:${alias.FunctionVersion}`] : []
        }),
      )
      return found.flat()
    },
    rollBack: async ({ to, dryRun = false }) => {
      const targets = (to ?? ['api']).map((text) => readTarget(stage, text))
      const found = await Promise.all(targets.map(({ name }) => aliasOf(name)))
      const wasStopped = await stopDeployment(dryRun)
      for (const [index, { name, version }] of targets.entries()) {
        const before = found[index]
        const alias = wasStopped && !dryRun ? await aliasOf(name) : before
        if (!before || !alias) continue
        const wanted = version ?? olderVersion(before)
        // CodeDeploy has rolled back its own deployment; one more version back would be too far.
        if (wanted === undefined && wasStopped)
          print(`${name}: ${aliasName} is at ${shares(alias)}. To move it further back, run this again.`)
        else await moveAlias(name, alias, { wanted, dryRun })
      }
    },
    close: () => {
      lambda.destroy()
      codeDeploy.destroy()
    },
  }
}

function readTarget(stage: StageName, text: string): { name: string; version: string | undefined } {
  const [, short = 'api', version] = /^(?:([a-z-]+):)?([1-9]\d*)$/.exec(text) ?? []
  const known = servingFunctions.find((name) => name === short)
  if (!known || (text !== 'api' && version === undefined))
    throw new Error(
      `--to must be a published version such as 12 or api:12, but is: ${text}\nFunctions: ${servingFunctions.join(', ')}`,
    )
  return { name: functionName(stage, known), version }
}

/** @returns the older version if the alias points at two, during a deployment or after a failed one */
function olderVersion(alias: AliasConfiguration): string | undefined {
  const other = weights(alias).map(([version]) => Number(version))
  return other.length > 0 ? String(Math.min(Number(alias.FunctionVersion), ...other)) : undefined
}

function versionBefore(alias: AliasConfiguration, published: number[]): string | undefined {
  const before = published.filter((version) => version < Number(alias.FunctionVersion))
  return before.length > 0 ? String(Math.max(...before)) : undefined
}

function weights(alias: AliasConfiguration): [string, number][] {
  return Object.entries(alias.RoutingConfig?.AdditionalVersionWeights ?? {})
}

function shares(alias: AliasConfiguration): string {
  const other = weights(alias).map(([version, share]) => ` and ${Math.round(share * 100)} % at ${version}`)
  return `version ${alias.FunctionVersion}${other.join('')}`
}
