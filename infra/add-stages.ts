// Adds the stacks of all stages, and the checks of cdk-nag.
import { type App, Tags, Validations } from 'aws-cdk-lib'
import { type Architecture, Code } from 'aws-cdk-lib/aws-lambda'
import { AwsSolutionsChecks } from 'cdk-nag'
import { DataStack } from './data-stack.ts'
import { prefix } from './names.ts'
import { ServiceStack } from './service-stack.ts'
import { type Stage, type StageName, stages } from './stages.ts'

/** @param build the functions' package, a ZIP file or a folder; the processor architecture it was built for; the console's folder */
export function addStages(
  app: App,
  build: { path: string; architecture: Architecture; consoleFolder: string },
  stagesByName: Partial<Record<StageName, Stage>> = stages,
): void {
  for (const [stageName, stage] of Object.entries(stagesByName) as [StageName, Stage][]) {
    const data = new DataStack(app, { stageName, stage })
    // Each stack needs a `Code` of its own.
    const functionPackage = { code: Code.fromAsset(build.path), architecture: build.architecture }
    const service = new ServiceStack(app, {
      stageName,
      stage,
      data,
      functionPackage,
      consoleFolder: build.consoleFolder,
    })
    for (const stack of [data, service]) Tags.of(stack).add('service', prefix(stageName))
  }
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }))
}
