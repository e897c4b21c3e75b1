// The pages that the local issuer shows in the browser. They need no script.
import type { Reply } from '../../endpoint.ts'
import { escapeHtml, plainPage } from '../../plain-page.ts'

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
  return plainPage({
    title: 'Sign in',
    body,
    status,
    formTargets: `'self' ${hostname === '[::1]' ? 'http:' : origin}`,
  })
}

export function errorPage(message: string): Reply {
  const body = `<p role="alert">${escapeHtml(message)}</p>`
  return plainPage({ title: 'The request is not valid', body, status: 400 })
}
