// The Valkey ACL rules of the service's user: its own keys, and the commands it uses.
// https://valkey.io/topics/acl/
export const cacheAccess =
  'on ~user-directory:* resetchannels -@all +@read +@write +@scripting +@connection -@dangerous +info +time'
/** In cluster mode also the commands that find the primaries. ASKING, which follows a moving slot, is in `@connection`. */
export const clusterCacheAccess = `${cacheAccess} +cluster|nodes +cluster|slots`
