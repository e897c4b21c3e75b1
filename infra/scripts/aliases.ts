// The alias `live` of a stage's functions: where it is, and how it is put back.
import { setTimeout as pause } from 'node:timers/promises'
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

/** Those whose alias decides which code serves; a migration is not taken back, old code runs on the new schema. */
export const servingFunctions = Object.keys({
  api: true,
  refresh: true,
  'sign-in': true,
  deliver: true,
  'user-pool': true,
} satisfies Record<Exclude<FunctionName, 'migrate'>, true>) as FunctionName[]

// 5,000 versions: the 75 GB of code that an account may keep are full before.
const pagesMax = 100
// Longer than CodeDeploy takes; after that the alias is put back by hand.
const stopMsMax = 60_000
const pollMs = 500

export type Aliases = {
  /** Where the aliases are, as `rollBack` takes it; without those functions that are not deployed yet. */
  versions(): Promise<string[]>
  /**
   * Stops a shift that is under way; then points the alias at a published version, and nowhere else.
   * @param to `12`, `api:12`; absent: the API, to the older side of a shift or else to the version before
   * @throws Error when there is no such version, or none before; nothing was changed then
   */
  rollBack(options: { to?: string[] | undefined; dryRun?: boolean }): Promise<void>
  close(): void
}

/** @param say is told, line by line, what is done */
export function openAliases(stage: StageName, say: (text: string) => void): Aliases {
  const lambda = new LambdaClient(clientLimits)
  const codeDeploy = new CodeDeployClient(clientLimits)

  const aliasOf = (name: string): Promise<AliasConfiguration> =>
    lambda.send(new GetAliasCommand({ FunctionName: name, Name: aliasName }))

  const shiftsUnderWay = async (): Promise<string[]> => {
    const { deployments } = await codeDeploy.send(
      new ListDeploymentsCommand({
        applicationName: functionName(stage, 'api'),
        deploymentGroupName: functionName(stage, 'api'),
        includeOnlyStatuses: ['Created', 'Queued', 'InProgress', 'Baking', 'Ready'],
      }),
    )
    return deployments ?? []
  }

  /** @returns whether there was one */
  const stopShift = async (dryRun: boolean): Promise<boolean> => {
    const underWay = await shiftsUnderWay()
    for (const deploymentId of underWay) {
      say(`${deploymentId}: the shift ${dryRun ? 'would be' : 'is being'} stopped.`)
      if (dryRun) continue
      const command = new StopDeploymentCommand({ deploymentId, autoRollbackEnabled: true })
      await codeDeploy.send(command).catch((error: Error) => {
        // It has come to its end just now.
        if (error.name !== 'DeploymentAlreadyCompletedException') throw error
      })
    }
    if (underWay.length === 0 || dryRun) return underWay.length > 0
    const giveUpAt = performance.now() + stopMsMax
    // What CodeDeploy puts the alias back by is a deployment of its own.
    while ((await shiftsUnderWay()).length > 0 && performance.now() < giveUpAt) await pause(pollMs)
    say('CloudFormation takes its stack back too: wait for that before the next deployment.')
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
    throw new Error(`${name} has more than ${versions.length} versions: remove those that nobody needs.`)
  }

  const putBack = async (
    name: string,
    alias: AliasConfiguration,
    wanted: string | undefined,
    dryRun: boolean,
  ): Promise<void> => {
    const published = await publishedVersions(name)
    const version = wanted ?? versionBefore(alias, published)
    if (version === undefined || !published.includes(Number(version)))
      throw new Error(
        `${name} has no version ${version ?? `before ${alias.FunctionVersion}`}: nothing was changed. Published: ${published.join(', ') || 'none'}.`,
      )
    if (version === alias.FunctionVersion && weights(alias).length === 0)
      return say(`${name}: ${aliasName} is at version ${version}.`)
    say(`${name}: ${aliasName} ${dryRun ? 'would go' : 'goes'} from ${shares(alias)} to version ${version}.`)
    if (dryRun) return
    const changed = await lambda
      .send(
        new UpdateAliasCommand({
          FunctionName: name,
          Name: aliasName,
          FunctionVersion: version,
          RoutingConfig: { AdditionalVersionWeights: {} },
          // Only if nobody else has moved it since it was looked at.
          RevisionId: alias.RevisionId,
        }),
      )
      .catch((error: Error) => {
        if (error.name !== 'PreconditionFailedException') throw error
        throw new Error(
          `${name}: somebody else has moved ${aliasName} at this moment. Look, and run this again.`,
        )
      })
    say(`${name}: ${aliasName} is at ${shares(changed)}.`)
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
      const wasStopped = await stopShift(dryRun)
      for (const [index, { name, version }] of targets.entries()) {
        const before = found[index]
        const alias = wasStopped && !dryRun ? await aliasOf(name) : before
        if (!before || !alias) continue
        const wanted = version ?? olderSide(before)
        // CodeDeploy has put back what it had begun: one version further back would be too far.
        if (wanted === undefined && wasStopped)
          say(`${name}: ${aliasName} is at ${shares(alias)}. If it should not be, run this again.`)
        else await putBack(name, alias, wanted, dryRun)
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
      `--to must be a published version, such as 12 or api:12, and is: ${text}\nFunctions: ${servingFunctions.join(', ')}`,
    )
  return { name: functionName(stage, known), version }
}

/** Of a shift that is under way, or was left half done. */
function olderSide(alias: AliasConfiguration): string | undefined {
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
