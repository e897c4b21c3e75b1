// Fetches an issuer's published keys (RFC 7517). The library's own fetcher requires HTTPS, which emulators and the local
// issuer do not offer.

const fetchMsMax = 1_500

/** @returns the JWKS as JSON @throws Error if the issuer cannot be reached or does not answer with 200 */
export async function fetchJwks(uri: string): Promise<string> {
  const response = await fetch(uri, { signal: AbortSignal.timeout(fetchMsMax), redirect: 'error' })
  if (!response.ok) throw new Error(`status ${response.status}`)
  return await response.text()
}
