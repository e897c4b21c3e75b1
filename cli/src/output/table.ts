// Aligns rows in columns by the width that terminals give each character.
import truncatedWidth from 'fast-string-truncated-width'
import { printable } from './printable.ts'

export type Column<T> = { title: string; value: (row: T) => string | null }

const gap = '  '
const ellipsis = '…'
const columnWidthMin = 6

/**
 * @param lineWidth the terminal's; without one nothing is shortened
 * @returns a function that formats batches of rows, the first with the titles
 */
export function formatTable<T>(columns: Column<T>[], lineWidth?: number): (rows: T[]) => string[] {
  let widths: number[] | undefined
  return (rows) => {
    const cells = rows.map((row) => columns.map(({ value }) => printable(value(row) ?? '')))
    const titles = columns.map(({ title }) => title.toUpperCase())
    const isFirst = widths === undefined
    widths ??= fitWidths(
      titles.map((title, at) => Math.max(...[title, ...cells.map((row) => row[at] ?? '')].map(widthOf))),
      lineWidth,
    )
    const format = (row: string[]) => formatRow(row, widths ?? [], lineWidth !== undefined)
    return [...(isFirst ? [titles] : []), ...cells].map(format)
  }
}

function formatRow(cells: string[], widths: number[], isShortened: boolean): string {
  return cells
    .map((cell, at) => {
      const width = widths[at] ?? 0
      const shown = isShortened ? shorten(cell, width) : cell
      return shown + ' '.repeat(Math.max(0, width - widthOf(shown)))
    })
    .join(gap)
    .trimEnd()
}

/** Takes from the widest column until the line fits. */
function fitWidths(widths: number[], lineWidth = Number.POSITIVE_INFINITY): number[] {
  const fitted = [...widths]
  const total = () => fitted.reduce((sum, width) => sum + width, gap.length * (fitted.length - 1))
  while (total() > lineWidth) {
    const widest = fitted.indexOf(Math.max(...fitted))
    const width = fitted[widest] ?? 0
    if (width <= columnWidthMin) break
    fitted[widest] = width - 1
  }
  return fitted
}

function shorten(text: string, limit: number): string {
  const { index, ellipsed } = truncatedWidth(text, { limit, ellipsis })
  return ellipsed ? text.slice(0, index) + ellipsis : text
}

function widthOf(text: string): number {
  return truncatedWidth(text).width
}
