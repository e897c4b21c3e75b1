// Finds the metrics that the code emits. The types ensure that a log line contains all metrics of its kind.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** @returns the kinds of `metrics` that `src` emits */
export async function emittedKinds(): Promise<Set<string>> {
  const src = join(import.meta.dirname, '../../src')
  const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const texts = await Promise.all(files.map((name) => readFile(join(src, name), 'utf8')))
  return new Set(
    texts.flatMap((text) => [...text.matchAll(/metricFields\(\s*'(\w+)'/g)].map(([, kind = '']) => kind)),
  )
}
