// Statistics and memory figures for several parts of the benchmark.
import type { ChildProcess } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'

/** @returns NaN for an empty list */
export function median(figures: number[]): number {
  return quantile(figures, 0.5)
}

/** @param share from 0, which is the minimum, to less than 1 */
export function quantile(figures: number[], share: number): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length * share)] ?? Number.NaN
}

/** @returns the resident memory of a process, or NaN without /proc */
export function residentMegabytes(child: ChildProcess): Promise<number> {
  return readMegabytes(child, 'VmRSS')
}

/** @returns the highest resident memory of a process since its start or `resetPeak`, or NaN without /proc */
export function peakMegabytes(child: ChildProcess): Promise<number> {
  return readMegabytes(child, 'VmHWM')
}

/** Lets the peak of a process begin at its present memory: proc_pid_clear_refs(5). */
export async function resetPeak({ pid }: ChildProcess): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5').catch(() => {})
}

async function readMegabytes({ pid }: ChildProcess, line: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(new RegExp(`${line}:\\s+(\\d+)`).exec(status)?.[1] ?? Number.NaN) / 1_024
}
