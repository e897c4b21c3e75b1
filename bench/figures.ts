// What several parts of the benchmark make of what they have measured.
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** @returns NaN for an empty list */
export function median(figures: number[]): number {
  return quantile(figures, 0.5)
}

/** @param share from 0, the least figure, to less than 1 */
export function quantile(figures: number[], share: number): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length * share)] ?? Number.NaN
}

/** What a process holds in memory; not a number where there is no /proc. */
export async function residentMegabytes({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1_024
}
