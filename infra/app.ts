// The CDK app: two stacks for each stage. Run by npm run synth and npm run deploy.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { App } from 'aws-cdk-lib'
import { addStages } from './add-stages.ts'

const zip = fileURLToPath(new URL('../dist/functions.zip', import.meta.url))
if (!existsSync(zip)) throw new Error('The functions are not built yet. Run: npm run build')
const app = new App()
addStages(app, zip)
app.synth()
