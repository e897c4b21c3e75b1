// The stacks of all stages, and the check that they keep to good practice.
import { type App, Tags, Validations } from 'aws-cdk-lib'
import { type Architecture, Code } from 'aws-cdk-lib/aws-lambda'
import { AwsSolutionsChecks } from 'cdk-nag'
import { DataStack } from './data-stack.ts'
import { ServiceStack } from './service-stack.ts'
import { type Stage, type StageName, stages } from './stages.ts'

/**
 * @param build where the functions' package is, a ZIP file or a folder, and the processor that it was built for
 */
export function addStages(
  app: App,
  build: { path: string; architecture: Architecture },
  each: Partial<Record<StageName, Stage>> = stages,
): void {
  for (const [name, stage] of Object.entries(each) as [StageName, Stage][]) {
    const data = new DataStack(app, name, stage, { terminationProtection: stage.keepsData })
    const service = new ServiceStack(app, name, stage, data, {
      // A stack takes a `Code` of its own.
      code: Code.fromAsset(build.path),
      architecture: build.architecture,
    })
    for (const stack of [data, service]) Tags.of(stack).add('service', `user-directory-${name}`)
  }
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app, { verbose: true }))
}
