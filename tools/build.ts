// npm run build: the Node server as a folder of its own, dist/server, and the functions, dist/functions.
import { rmSync } from 'node:fs'
import { buildFunctions } from './build-functions.ts'
import { buildServer } from './build-server.ts'
import { reportSizes } from './bundle.ts'

rmSync('dist', { recursive: true, force: true })
reportSizes(await buildServer('dist/server'))
// AWS's own processors, wherever this is built.
reportSizes(await buildFunctions('dist/functions', { os: 'linux', cpu: 'arm64' }))
