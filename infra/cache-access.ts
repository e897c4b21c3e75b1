// What the service's user may do in Valkey, as an ACL rule: its own keys, and the commands that it uses.
// https://valkey.io/topics/acl/
export const cacheAccess =
  'on ~user-directory:* resetchannels -@all +@read +@write +@scripting +@connection -@dangerous +info +time'
