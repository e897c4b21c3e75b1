// The pages that the local issuer shows in the browser. They need no script.
import { createHash } from 'node:crypto'
import type { Reply } from '../../endpoint.ts'

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 22rem; margin: 10vh auto; padding: 0 1rem }
label, input, button { display: block; box-sizing: border-box; width: 100%; font: inherit }
input { margin: .25rem 0 1rem; padding: .5rem }
button { margin-top: .75rem; padding: .6rem }
`
const styleHash = createHash('sha256').update(style).digest('base64')

/**
 * @param options.redirectUri the form's answer leads there, which browsers must permit
 * @param options.message says why the last attempt failed
 */
export function signInPage(options: { redirectUri: string; status?: number; message?: string }): Reply {
  const { redirectUri, status = 200, message } = options
  const alert = message === undefined ? '' : `<p role="alert">${escapeHtml(message)}</p>`
  const body = `${alert}
    <form method="post">
      <label for="username">Username</label>
      <input id="username" name="username" autocomplete="username" autofocus required>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required>
      <button name="action" value="sign-in">Sign in</button>
      <button name="action" value="administrator" formnovalidate>Sign in as the sample administrator</button>
      <button name="action" value="cancel" formnovalidate>Cancel</button>
    </form>`
  // The grammar of policies has no IPv6 addresses.
  const { hostname, origin } = new URL(redirectUri)
  return page({
    title: 'Sign in',
    body,
    status,
    formTargets: `'self' ${hostname === '[::1]' ? 'http:' : origin}`,
  })
}

export function errorPage(message: string): Reply {
  const body = `<p role="alert">${escapeHtml(message)}</p>`
  return page({ title: 'The request is not valid', body, status: 400, formTargets: "'none'" })
}

function page(options: { title: string; body: string; status: number; formTargets: string }): Reply {
  const { title, body, status, formTargets } = options
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

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
