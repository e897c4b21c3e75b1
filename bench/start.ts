// Benchmarks the start of the API's function: until the handler is ready, relative to `node -e 0`, and until the first
// answer and later ones, relative to an empty function.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { restEvent, startFunction } from '../test/support/lambda.ts'
import { buildFunctions } from '../tools/build-functions.ts'
import { median } from './figures.ts'

// The minimum for a meaningful median, whatever `--rounds` says.
const pairsMin = 30
const answersMin = 10
const laterAnswers = 1_000

export type StartBench = {
  /** The settings of a function with real servers. */
  env: Record<string, string>
  rounds: number
  /** An empty folder. */
  folder: string
  /** The id of an existing user. */
  id: string
  claims: Record<string, unknown>
  newUser(): string
}

export async function benchStart({ env, rounds, folder, id, claims, newUser }: StartBench): Promise<void> {
  await buildFunctions(join(folder, 'built'))
  const entry = join(folder, 'built', 'api.js')
  const settings = { ...env, NODE_ENV: 'production', AVATAR_BUCKET: 'none' }
  const ready = `import(${JSON.stringify(pathToFileURL(entry).href)}).then(({ handler }) => process.exit(handler ? 0 : 1))`
  const cached = { ...settings, NODE_COMPILE_CACHE: join(folder, 'compile-cache') }

  const nothing = () => run('0', settings)
  const pairs = Math.max(pairsMin, rounds)
  await compare('handler ready', pairs, { ours: () => run(ready, settings), floor: nothing })
  await compare('… with a compile cache', pairs, { ours: () => run(ready, cached), floor: nothing })

  const idle = join(folder, 'idle.mjs')
  await writeFile(idle, 'export const handler = async () => ({ statusCode: 200, headers: {}, body: "" })\n')
  const answers = new Map<string, number>()
  const first = async (file: string, event: unknown): Promise<number> => {
    const startedAt = performance.now()
    const { invoke, close } = await startFunction(file, settings, () => {})
    const { statusCode, headers } = (await invoke(event)) as {
      statusCode: number
      headers: Record<string, string>
    }
    const ms = performance.now() - startedAt
    await close()
    if (statusCode > 299) throw new Error(`the first answer was ${statusCode}`)
    const cache = headers['x-cache']
    if (cache !== undefined) answers.set(cache, (answers.get(cache) ?? 0) + 1)
    return ms
  }
  const get = await restEvent(new Request(`https://gateway/user/${id}`), claims)
  const post = async () =>
    restEvent(
      new Request('https://gateway/user', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: newUser(),
      }),
      claims,
    )
  const floor = () => first(idle, get)
  const tries = Math.max(answersMin, rounds)
  await compare('first answer: a read', tries, { ours: () => first(entry, get), floor })
  await compare('first answer: a create', tries, { ours: async () => first(entry, await post()), floor })
  const running = await Promise.all([entry, idle].map((file) => startFunction(file, settings, () => {})))
  const [api, bare] = running.map(({ invoke }) => async () => {
    const startedAt = performance.now()
    await invoke(get)
    return performance.now() - startedAt
  })
  if (api && bare) await compare('later answer: a read', laterAnswers, { ours: api, floor: bare })
  for (const { close } of running) await close()
  process.stdout.write(
    `X-Cache of the reads: ${[...answers].map(([cache, times]) => `${cache} ${times}`).join(', ')}\n`,
  )
}

/** Both sides take turns, because the other work on the machine varies. */
async function compare(
  name: string,
  count: number,
  { ours, floor }: { ours: () => Promise<number>; floor: () => Promise<number> },
): Promise<void> {
  const pairs: [ours: number, floor: number][] = []
  // The first pair fills caches and is not counted.
  for (let pair = 0; pair <= count; pair++) {
    const measured: [number, number] = [await ours(), await floor()]
    if (pair > 0) pairs.push(measured)
  }
  const middle = (figure: (pair: [number, number]) => number) => median(pairs.map(figure))
  const ratio = middle(([ours, floor]) => ours / floor)
  process.stdout.write(
    `${name.padEnd(24)}${middle(([ours]) => ours)
      .toFixed(1)
      .padStart(7)} ms, floor ${middle(([, floor]) => floor).toFixed(1)} ms: ${ratio.toFixed(2)} times\n`,
  )
}

/** Runs a line of code in a new process. @returns its duration in milliseconds */
async function run(code: string, env: Record<string, string>): Promise<number> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['-e', code], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`node -e failed with ${status}`)
  return performance.now() - startedAt
}
