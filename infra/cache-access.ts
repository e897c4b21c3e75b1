// The Valkey ACL rule of the service's user: its own keys, and the commands it uses.
// https://valkey.io/topics/acl/
export const cacheAccess =
  'on ~user-directory:* resetchannels -@all +@read +@write +@scripting +@connection -@dangerous +info +time'
