// The API reference as a page: Swagger UI, served by the Node server itself.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Reply } from './endpoint.ts'
import { routeNotFound } from './problem.ts'

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>User directory API</title>
    <link rel="icon" href="/docs/favicon-32x32.png">
    <link rel="stylesheet" href="/docs/swagger-ui.css">
  </head>
  <body>
    <div id="ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`

const start = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#ui',
  persistAuthorization: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  filter: false,
  validatorUrl: null,
})
`

const files: Record<string, string> = {
  'swagger-ui.css': 'text/css',
  'swagger-ui-bundle.js': 'text/javascript',
  'favicon-32x32.png': 'image/png',
}

// Swagger UI needs inline styles. Scripts may only come from this server.
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

export const docsPage: Reply = {
  headers: {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': policy,
    'Referrer-Policy': 'no-referrer',
  },
  body: page,
}

/** The files of the page, by path. */
const contents = new Map<string, Promise<Buffer>>()

/** Callers need no token, and the largest file has over a megabyte. */
function readOnce(path: string): Promise<Buffer> {
  const known = contents.get(path)
  if (known !== undefined) return known
  const reading = readFile(path)
  contents.set(path, reading)
  reading.catch(() => contents.delete(path))
  return reading
}

export async function docsFile(name: string): Promise<Reply> {
  if (name === 'start.js') return { headers: { 'Content-Type': 'text/javascript' }, body: start }
  const type = Object.hasOwn(files, name) ? files[name] : undefined
  if (!type) throw routeNotFound()
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  const body = await readOnce(join(folder, name))
  return { headers: { 'Content-Type': type, 'Cache-Control': 'public, max-age=3600' }, body }
}
