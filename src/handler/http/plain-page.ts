// A page without script, for what the server itself says to a person in a browser.
import { createHash } from 'node:crypto'
import type { Reply } from './endpoint.ts'

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 22rem; margin: 10vh auto; padding: 0 1rem }
label, input, button { display: block; box-sizing: border-box; width: 100%; font: inherit }
input { margin: .25rem 0 1rem; padding: .5rem }
button { margin-top: .75rem; padding: .6rem }
`
const styleHash = createHash('sha256').update(style).digest('base64')

/**
 * @param options.body HTML
 * @param options.formTargets sources of the policy's form-action
 */
export function plainPage(options: {
  title: string
  body: string
  status: number
  formTargets?: string
}): Reply {
  const { title, body, status, formTargets = "'none'" } = options
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; form-action ${formTargets}; frame-ancestors 'none'; base-uri 'none'`
  return {
    status,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': policy,
      'Cache-Control': 'no-store',
      // Other sites get no address. The form's own request keeps its origin, which is checked.
      'Referrer-Policy': 'same-origin',
    },
    body: `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title} – User directory</title>
    <style>${style}</style>
  </head>
  <body>
    <main>
    <h1>${title}</h1>
    ${body}
    </main>
  </body>
</html>
`,
  }
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
