// The synthesised templates of all stages, made once for every test file part that reads them.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { Architecture } from 'aws-cdk-lib/aws-lambda'
import type { CloudAssembly } from 'aws-cdk-lib/cx-api'
import { inject } from 'vitest'
import { addStages } from '../add-stages.ts'
import { type Stage, type StageName, stages } from '../stages.ts'

// Removed after the run, because test files that share a process share this module.
const folder = mkdtempSync(join(inject('sharedFolder'), 'infra-'))
// A template refers to the functions' package by its hash only.
const functions = join(folder, 'functions')
mkdirSync(functions)
writeFileSync(join(functions, 'api.js'), '')
const consoleFolder = join(folder, 'console')
mkdirSync(join(consoleFolder, 'assets'), { recursive: true })
for (const file of ['index.html', 'assets/index.js']) writeFileSync(join(consoleFolder, file), '')

const { context } = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'))
/** Synthesises stages. cdk-nag checks every stack here and throws on a finding that is not accepted. */
function synthesise(name: string, each?: Partial<Record<StageName, Stage>>): CloudAssembly {
  const app = new App({ context, outdir: join(folder, name) })
  addStages(app, { path: functions, architecture: Architecture.ARM_64, consoleFolder }, each)
  return app.synth()
}

let assembly: CloudAssembly | undefined
const allStages = (): CloudAssembly => {
  assembly ??= synthesise('cdk.out')
  return assembly
}

export type Resource = {
  Type: string
  Properties?: Record<string, unknown>
  DependsOn?: string | string[]
  DeletionPolicy?: string
}

export type Statement = {
  Effect: string
  Action: string | string[]
  Principal?: unknown
  Resource?: unknown
  NotAction?: unknown
  NotResource?: unknown
}

export type StageTemplates = {
  name: StageName
  stage: Stage
  data: Template
  service: Template
  /** Of both stacks, with their logical ids. */
  resources: [string, Resource][]
  ofType(type: string): [string, Resource][]
  properties(type: string): Record<string, unknown>[]
}

/** @param changed settings in which the stage differs from the usual ones */
export function templatesOf(name: StageName, changed?: Partial<Stage>): StageTemplates {
  const stage = { ...stages[name], ...changed }
  const source = changed ? synthesise(`${name}-changed`, { [name]: stage }) : allStages()
  const templateOf = (part: string) =>
    Template.fromJSON(source.getStackByName(`user-directory-${name}-${part}`).template)
  const data = templateOf('data')
  const service = templateOf('service')
  const resources = [data, service].flatMap(
    (template) => Object.entries(template.toJSON().Resources) as [string, Resource][],
  )
  const ofType = (type: string) => resources.filter(([, { Type }]) => Type === type)
  return {
    name,
    stage,
    data,
    service,
    resources,
    ofType,
    properties: (type) => ofType(type).map(([, { Properties = {} }]) => Properties),
  }
}
