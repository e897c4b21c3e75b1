// Reads the address, the authentication and the kind of server from REDIS_URL.

/**
 * @param url with `?iam_cache=<replication group>`, each connection uses a newly signed password; with `cluster=true` it
 *   leads to any node of a cluster
 */
export function addressOf(url: string): {
  address: string
  isCluster: boolean
  password?: () => Promise<string>
} {
  const address = new URL(url)
  const cacheName = address.searchParams.get('iam_cache')
  const isCluster = address.searchParams.get('cluster') === 'true'
  address.search = ''
  if (cacheName === null) return { address: address.href, isCluster }
  return {
    address: address.href,
    isCluster,
    password: async () => {
      const { cacheToken } = await import('../aws/iam-token.ts')
      return cacheToken(cacheName, decodeURIComponent(address.username))
    },
  }
}
