// The parts of the benchmark, and its usage.

export const usage = `Measures the service against baselines, in turn.

  npm run bench                          all parts but sign-in, overload, clients, workers, restarts, scale, console and lighthouse
  --only PART                            one part:
      cached, uncached, list, create     requests
      search                             searches
      refresh                            the daily revalidation
      start                              the start of the server and of the function
      sign-in                            passwords and blocks
      import                             imports and exports against COPY, and reads beside an import
      overload                           ten times the load that the server can serve
      clients                            the Redis client compared with ioredis
      workers                            one process, two workers, and metrics, compared
      restarts                           requests that fail while workers or servers restart
      console                            the console in Chromium, and memory after rounds of two minutes
      lighthouse                         Lighthouse, fetched by npx, on the console's list
      scale                              a hundredth, a tenth and all of --users, from a million on
  --users 100000, --seconds 2, --rounds 5
`

export const names = {
  cached: 'cached GET',
  uncached: 'uncached GET',
  list: 'list, 20 a page',
  create: 'create',
}

/** `--only` takes the start of one. */
export const parts = [
  ...Object.values(names),
  'search',
  'refresh',
  'import',
  'sign-in',
  'overload',
  'start',
  'clients',
  'workers',
  'console',
  'lighthouse',
  'scale',
  'restarts',
]
