// The CDK app with two stacks for each stage, for npm run synth and npm run deploy.
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { App } from 'aws-cdk-lib'
import { Architecture } from 'aws-cdk-lib/aws-lambda'
import { addStages } from './add-stages.ts'

const dist = (path: string) => fileURLToPath(new URL(`../dist/${path}`, import.meta.url))
const zip = dist('functions.zip')
const consoleFolder = dist('server/console/dist')
if (!existsSync(zip) || !existsSync(consoleFolder))
  throw new Error('The functions and the console are not built yet. Run: npm run build')
const app = new App()
const { cpu } = JSON.parse(readFileSync(dist('functions/package.json'), 'utf8')) as { cpu: string[] }
const architecture = cpu.includes('x64') ? Architecture.X86_64 : Architecture.ARM_64
addStages(app, { path: zip, architecture, consoleFolder })
app.synth()
