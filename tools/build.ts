// npm run build: builds the Node server into dist/server and the functions into dist/functions and dist/functions.zip, with
// their source maps in dist/functions-maps.
import { rmSync, statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { buildFunctions } from './build-functions.ts'
import { buildServer } from './build-server.ts'
import { reportEntries, reportSizes } from './bundle.ts'
import { zipFolder } from './zip.ts'

// The stages use AWS's arm64 processors by default.
const { arch } = parseArgs({ options: { arch: { type: 'string', default: 'arm64' } } }).values
if (arch !== 'arm64' && arch !== 'x64') {
  process.stderr.write(`--arch must be arm64 or x64, but is: ${arch}\n`)
  process.exit(1)
}

rmSync('dist', { recursive: true, force: true })
reportSizes(await buildServer('dist/server'))
const functions = await buildFunctions('dist/functions', { os: 'linux', cpu: arch })
reportSizes(functions)
reportEntries(functions)
zipFolder('dist/functions', 'dist/functions.zip')
process.stdout.write(
  `${(statSync('dist/functions.zip').size / 1024 / 1024).toFixed(1)} MB  dist/functions.zip for ${arch}\n`,
)
