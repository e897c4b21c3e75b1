// Reads the address and the authentication from REDIS_URL.

/** @param url with `?iam_cache=<replication group>`, each connection uses a newly signed password */
export function addressOf(url: string): { address: string; password?: () => Promise<string> } {
  const address = new URL(url)
  const cacheName = address.searchParams.get('iam_cache')
  if (cacheName === null) return { address: url }
  address.search = ''
  return {
    address: address.href,
    password: async () => {
      const { cacheToken } = await import('../aws/iam-token.ts')
      return cacheToken(cacheName, decodeURIComponent(address.username))
    },
  }
}
