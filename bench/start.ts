// How long the API's function takes to start: until its handler is ready, as a ratio to `node -e 0`, and until its
// first answer, as a ratio to a function that has nothing to do.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { restEvent, startFunction } from '../test/support/lambda.ts'
import { buildFunctions } from '../tools/build-functions.ts'
import { median } from './figures.ts'

// The least of which a median says something, whatever `--rounds` asks for.
const pairsMin = 30
const answersMin = 10

export type StartBench = {
  /** Of real servers. */
  env: Record<string, string>
  rounds: number
  /** An empty one. */
  folder: string
  /** Of a user that is there. */
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
  await compare('handler ready', pairsMin, rounds, () => run(ready, settings), nothing)
  await compare('… with a compile cache', pairsMin, rounds, () => run(ready, cached), nothing)

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
  await compare('first answer: a read', answersMin, rounds, () => first(entry, get), floor)
  await compare('first answer: a create', answersMin, rounds, async () => first(entry, await post()), floor)
  process.stdout.write(
    `the reads were answered from: ${[...answers].map(([cache, times]) => `${cache} ${times}`).join(', ')}\n`,
  )
}

/** In turn, since what else the machine does changes from one moment to the next. */
async function compare(
  name: string,
  min: number,
  rounds: number,
  ours: () => Promise<number>,
  floor: () => Promise<number>,
): Promise<void> {
  const pairs: [ours: number, floor: number][] = []
  // The first fills caches and is not counted.
  for (let pair = 0; pair <= Math.max(min, rounds); pair++) {
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

/** Runs a line of code in a process of its own. @returns milliseconds until it has ended */
async function run(code: string, env: Record<string, string>): Promise<number> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, ['-e', code], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const [status] = await once(child, 'exit')
  if (status !== 0) throw new Error(`node -e ended with ${status}`)
  return performance.now() - startedAt
}
