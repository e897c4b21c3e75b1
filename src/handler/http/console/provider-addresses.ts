// Where the provider leads browsers back to. Its client must allow these addresses.

/** @param origin the console's own */
export function providerAddresses(origin: string): { redirectUri: string; afterSignOutUri: string } {
  return { redirectUri: `${origin}/console/callback`, afterSignOutUri: `${origin}/console/` }
}
