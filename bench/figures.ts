// Statistics and memory figures for several parts of the benchmark.
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'

/** @returns NaN for an empty list */
export function median(figures: number[]): number {
  return quantile(figures, 0.5)
}

/** @param share from 0, which is the minimum, to less than 1 */
export function quantile(figures: number[], share: number): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length * share)] ?? Number.NaN
}

/** @returns the resident memory of a process, or NaN without /proc */
export async function residentMegabytes({ pid }: ChildProcess): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1_024
}
