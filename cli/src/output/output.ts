// Writes results to stdout, and messages to stderr.
import { once } from 'node:events'
import { printable, printableJson } from './printable.ts'
import { type Column, formatTable } from './table.ts'

export type Output = {
  isJson: boolean
  /** One JSON value in one line. */
  json(value: unknown): Promise<void>
  /** One line for people, which a caller may have coloured. It must be printable. */
  line(text: string): Promise<void>
  /** A table for people. Later batches keep the widths of the first. */
  table<T>(columns: Column<T>[]): (rows: T[]) => Promise<void>
  /** A message on stderr. */
  note(text: string): void
}

export function openOutput(isJson: boolean): Output {
  const { stdout, stderr } = process
  const write = async (text: string): Promise<void> => {
    if (!stdout.write(`${text}\n`)) await once(stdout, 'drain')
  }
  return {
    isJson,
    json: (value) => write(printableJson(value)),
    line: write,
    table: (columns) => {
      const format = formatTable(columns, stdout.isTTY ? stdout.columns || undefined : undefined)
      return async (rows) => {
        for (const line of format(rows)) await write(line)
      }
    },
    note: (text) => void stderr.write(`${text.split('\n').map(printable).join('\n')}\n`),
  }
}
