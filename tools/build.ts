// npm run build: the Node server as a folder of its own, dist/server, and the functions, dist/functions and the
// same as dist/functions.zip.
import { rmSync, statSync } from 'node:fs'
import { buildFunctions } from './build-functions.ts'
import { buildServer } from './build-server.ts'
import { reportEntries, reportSizes } from './bundle.ts'
import { zipFolder } from './zip.ts'

rmSync('dist', { recursive: true, force: true })
reportSizes(await buildServer('dist/server'))
// AWS's own processors, wherever this is built.
const functions = await buildFunctions('dist/functions', { os: 'linux', cpu: 'arm64' })
reportSizes(functions)
reportEntries(functions)
zipFolder('dist/functions', 'dist/functions.zip')
process.stdout.write(
  `${(statSync('dist/functions.zip').size / 1024 / 1024).toFixed(1)} MB  dist/functions.zip\n`,
)
