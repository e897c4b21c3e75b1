// The software bill of materials of the image, in CycloneDX 1.6: https://cyclonedx.org/docs/1.6/json/.
// `npm sbom` lists what a folder installs. Most packages here are bundled, so esbuild's report names them.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'
import { lockedPackages, lockedPart } from './locked.ts'

/** @param folder has the installed packages in `node_modules`, and package.json */
export function billOfMaterials(folder: string, { inputs }: Metafile): object {
  const locked = lockedPackages()
  const paths = new Set([
    ...Object.keys(inputs).flatMap((input) => packageFolder(input) ?? []),
    ...installedPaths(folder),
    ...Object.keys(lockedPart(consolePackages()).packages),
  ])
  const components = [...paths].sort().flatMap((path) => {
    const found = locked[path]
    const name = path.split('node_modules/').at(-1) ?? ''
    return found?.version === undefined ? [] : [component({ ...found, name, version: found.version })]
  })
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name, version } },
    components: [...new Map(components.map((each) => [each.purl, each])).values()],
  }
}

type Package = { name: string; version: string; integrity?: string; license?: string }

function component({ name, version, integrity, license }: Package) {
  // https://github.com/package-url/purl-spec/blob/main/types-doc/npm-definition.md
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  const hash = /^sha512-(\S+)$/.exec(integrity ?? '')?.[1]
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
    ...(hash !== undefined && {
      hashes: [{ alg: 'SHA-512', content: Buffer.from(hash, 'base64').toString('hex') }],
    }),
  }
}

/** @returns the folder of the package that a file belongs to, as the lock file names it; undefined for our own */
function packageFolder(file: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]
}

function installedPaths(folder: string): string[] {
  return readdirSync(join(folder, 'node_modules'), { recursive: true, encoding: 'utf8' }).flatMap(
    (file) => packageFolder(`node_modules/${file}`) ?? [],
  )
}

/** Packages that the console's sources import; Vite bundles them. */
function consolePackages(): string[] {
  const imports = ['console/src', 'client/src'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.tsx?$/.test(file))
      .flatMap((file) => [
        ...readFileSync(join(folder, file), 'utf8').matchAll(/from '((?:@[^/']+\/)?[^@./'][^/']*)/g),
      ]),
  )
  return [...new Set(imports.map(([, name = '']) => name))].filter((name) => !name.startsWith('node:'))
}
