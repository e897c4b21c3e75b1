// Which metrics the code emits: those of the kinds that it makes log lines of. The types see to it that such a
// line holds all metrics of its kind.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The kinds of `metrics` that are emitted somewhere in `src`. */
export async function emittedKinds(): Promise<Set<string>> {
  const src = join(import.meta.dirname, '../../src')
  const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const texts = await Promise.all(files.map((name) => readFile(join(src, name), 'utf8')))
  return new Set(
    texts.flatMap((text) => [...text.matchAll(/metricFields\(\s*'(\w+)'/g)].map(([, kind = '']) => kind)),
  )
}
