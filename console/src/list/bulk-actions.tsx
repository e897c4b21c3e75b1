// Actions for the selected users, or for all that match.
import { lazy, Suspense, useState } from 'react'
import { Button } from '../ui/button.tsx'
import { filtersOf, type ListAddress } from './address.ts'
import type { BulkAction } from './bulk-dialog.tsx'
import type { Selection } from './selected-ids.ts'
import { useTotal } from './use-total.ts'
import { usersText } from './users-query.ts'

const BulkDialog = lazy(() => import('./bulk-dialog.tsx'))
const ExportDialog = lazy(() => import('../jobs/export-dialog.tsx'))

/** Of the API. */
const idsMax = 1_000

type Props = { address: ListAddress; selection: Selection; onChange: (selection?: Selection) => void }

export function BulkActions({ address, selection, onChange }: Props) {
  const [action, setAction] = useState<BulkAction | 'export'>()
  const total = useTotal(address, 'estimate').data
  const isAll = selection === 'all'
  const ids = isAll ? undefined : [...selection]
  const allText = total && usersText(total.total, total.isExact)
  const isTooMany = ids !== undefined && ids.length > idsMax
  const close = () => setAction(undefined)
  if (ids?.length === 0 && action === undefined) return null
  return (
    <>
      <section
        aria-label="Selected users"
        className="flex flex-wrap items-center gap-2 border-t border-line bg-chosen px-3 py-1.5"
      >
        <span role="status">
          {ids ? `${usersText(ids.length)} selected` : `All that match are selected: ${allText ?? '…'}`}
        </span>
        {ids && allText !== undefined && total && total.total > ids.length && (
          <Button onPress={() => onChange('all')}>Select all that match: {allText}</Button>
        )}
        {isTooMany && <span>Select at most {idsMax} users, or all that match.</span>}
        <Button isDisabled={isTooMany} onPress={() => setAction('block')}>
          Block
        </Button>
        <Button isDisabled={isTooMany} onPress={() => setAction('unblock')}>
          Unblock
        </Button>
        <Button isDisabled={isTooMany} onPress={() => setAction('set_attributes')}>
          Set an attribute…
        </Button>
        <Button isDisabled={isTooMany} onPress={() => setAction('export')}>
          Export the selection…
        </Button>
        <Button look="danger" isDisabled={isTooMany} onPress={() => setAction('erase')}>
          Erase…
        </Button>
        <Button look="quiet" onPress={() => onChange()}>
          Clear the selection
        </Button>
      </section>
      <Suspense>
        {action === 'export' && (
          <ExportDialog of={ids ? { ids } : { filters: filtersOf(address) }} onClose={close} />
        )}
        {action !== undefined && action !== 'export' && (
          <BulkDialog
            action={action}
            chosen={{ address, ids }}
            onClose={close}
            onDone={() => {
              close()
              onChange()
            }}
          />
        )}
      </Suspense>
    </>
  )
}
