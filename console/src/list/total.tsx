// How many users match, and whether the number is exact.
import { useState } from 'react'
import { Button } from '../ui/button.tsx'
import type { ListAddress } from './address.ts'
import { useTotal } from './use-total.ts'
import { usersText } from './users-query.ts'

export function Total({ address }: { address: ListAddress }) {
  const [exactFor, setExactFor] = useState<string>()
  const { columns: _columns, sort: _sort, ...filters } = address
  const key = JSON.stringify(filters)
  const { data, isFetching } = useTotal(filters, exactFor === key ? 'exact' : 'estimate')
  return (
    // On narrow screens on a line of its own, so that the number moves nothing when it arrives.
    <span className="flex min-h-8 basis-full items-center gap-1 text-muted sm:basis-auto">
      <span role="status">{data && sentence(data)}</span>
      {data && !data.isExact && (
        <Button look="quiet" isDisabled={isFetching} onPress={() => setExactFor(key)}>
          Count exactly
        </Button>
      )}
    </span>
  )
}

function sentence({ total, isExact }: { total: number; isExact: boolean }): string {
  const text = usersText(total, isExact)
  return isExact ? text : `${text.replace(/^a/, 'A')} (estimate)`
}
