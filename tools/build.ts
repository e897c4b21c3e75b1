// npm run build: the Node server as a folder of its own, dist/server, and the API's function, dist/api.
import { rmSync } from 'node:fs'
import { buildApi } from './build-api.ts'
import { buildServer } from './build-server.ts'
import { reportSizes } from './bundle.ts'

rmSync('dist', { recursive: true, force: true })
reportSizes(await buildServer('dist/server'))
// AWS's own processors, wherever this is built.
reportSizes(await buildApi('dist/api', { os: 'linux', cpu: 'arm64' }))
