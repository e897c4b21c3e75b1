// The refused rows of an import, page by page.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { TableHead } from '../ui/table-head.tsx'
import { importErrorsQuery } from './jobs.ts'
import { type Cursors, PageButtons } from './page-buttons.tsx'

export function RefusedRows({ id }: { id: string }) {
  /** The cursors of the pages before this one, and of this one. */
  const [cursors, setCursors] = useState<Cursors>([undefined])
  const errors = useQuery(importErrorsQuery(id, cursors.at(-1)))
  if (errors.error) return <ProblemNotice error={errors.error} onRetry={() => void errors.refetch()} />
  if (errors.isPending) return <div aria-hidden="true" className="skeleton h-20 max-w-xl" />
  const { items, next_cursor: next } = errors.data
  return (
    <section aria-label="Refused rows" className="flex flex-col gap-2">
      <div className="overflow-x-auto">
        <table>
          <caption className="pb-1 text-start font-semibold">Refused rows</caption>
          <TableHead titles={['Line', 'Field', 'Fault']} />
          <tbody>
            {items.map(({ line, pointer, message }, at) => (
              // A row has a fault several times if several of its values have it.
              // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a page never move
              <tr key={at}>
                <td className="pe-6 tabular-nums">{line}</td>
                <td className="pe-6">{columnOf(pointer)}</td>
                <td>{message}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <PageButtons
        label="Pages of refused rows"
        cursors={cursors}
        next={next}
        isLoading={errors.isPlaceholderData}
        onChange={setCursors}
      />
    </section>
  )
}

/** @returns the column of our CSV format, such as `contacts.0.value` for `/contacts/0/value` */
function columnOf(pointer: string): string {
  return pointer.slice(1).replaceAll('/', '.')
}
