// Serves the built console from `console/dist`: exactly the files that the folder had when it was listed, so a path can lead
// nowhere else. The build has compressed them.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, extname, join, relative, sep } from 'node:path'
import { LRUCache } from 'lru-cache'
import { acceptsCoding } from '../accepts-coding.ts'
import type { HttpRequest, Reply } from '../endpoint.ts'
import { plainPage } from '../plain-page.ts'
import { routeNotFound } from '../problem.ts'

const types = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.json', 'application/json'],
  ['.svg', 'image/svg+xml'],
  ['.png', 'image/png'],
  ['.ico', 'image/x-icon'],
  ['.webp', 'image/webp'],
  ['.woff2', 'font/woff2'],
  ['.txt', 'text/plain; charset=utf-8'],
])
/** In the order of preference. */
const codings = [
  { name: 'br', extension: '.br' },
  { name: 'gzip', extension: '.gz' },
]
const filesMax = 2_000
const cachedBytesMax = 16 * 1024 * 1024

type Content = { bytes: Uint8Array; etag: string }
type Folder = { path: string; names: Set<string>; builtAtMs: number }

/** @param headers of every file @returns the answer to GET and HEAD of a path below /console/, by default the app's page */
export function createConsoleFiles(
  headers: Record<string, string>,
  findFolder: () => string | undefined = findBuiltConsole,
): (request: HttpRequest, path: string) => Promise<Reply> {
  let folder: Folder | undefined
  const contents = new LRUCache<string, Content>({
    maxSize: cachedBytesMax,
    sizeCalculation: ({ bytes }) => bytes.length + 1,
  })

  /** Lists the folder again after a build. */
  const currentFolder = async (): Promise<Folder | undefined> => {
    const path = folder?.path ?? findFolder()
    const index = path === undefined ? undefined : await stat(join(path, 'index.html')).catch(() => undefined)
    if (path === undefined || !index) return undefined
    if (folder?.builtAtMs === index.mtimeMs) return folder
    contents.clear()
    folder = { path, names: await listFiles(path), builtAtMs: index.mtimeMs }
    return folder
  }

  const read = async ({ path }: Folder, name: string): Promise<Content> => {
    const known = contents.get(name)
    if (known) return known
    const bytes = await readFile(join(path, name))
    const content = {
      bytes,
      etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
    }
    contents.set(name, content)
    return content
  }

  return async (request, path) => {
    const current = await currentFolder()
    if (!current) return notBuilt
    const isFile = types.has(extname(path)) && current.names.has(path)
    // A page would be parsed as a script.
    if (!isFile && path.startsWith('assets/')) throw routeNotFound()
    const name = isFile ? path : 'index.html'
    const coding = codings.find(
      ({ name: coding, extension }) =>
        current.names.has(name + extension) && acceptsCoding(request.header('accept-encoding'), coding),
    )
    const { bytes, etag } = await read(current, name + (coding?.extension ?? ''))
    const fileHeaders = {
      ...headers,
      'Content-Type': types.get(extname(name)) ?? '',
      // The names of assets contain a hash of their content.
      'Cache-Control': name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      ETag: etag,
      Vary: 'Accept-Encoding',
    }
    if (matches(request.header('if-none-match'), etag)) return { status: 304, headers: fileHeaders }
    return {
      headers: { ...fileHeaders, ...(coding && { 'Content-Encoding': coding.name }) },
      body: bytes,
    }
  }
}

const notBuilt = plainPage({
  title: 'The console is not built',
  body: '<p>Run <code>npm run build --workspace console</code> in the checkout, then load this page again.</p>',
  status: 503,
})

/** Searches this module's folder and its parents, because bundles place the module elsewhere. */
function findBuiltConsole(): string | undefined {
  for (let parent = import.meta.dirname; ; parent = dirname(parent)) {
    const folder = join(parent, 'console/dist')
    if (existsSync(join(folder, 'index.html'))) return folder
    if (parent === dirname(parent)) return undefined
  }
}

async function listFiles(folder: string): Promise<Set<string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  if (files.length > filesMax) throw new Error(`console/dist has more than ${filesMax} files`)
  return new Set(
    files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)).split(sep).join('/')),
  )
}

/** RFC 9110, section 13.1.2. */
function matches(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((item) => item.trim().replace(/^W\//, '') === etag)
}
