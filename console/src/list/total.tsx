// How many users match, and whether the number is exact.
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Button } from '../ui/button.tsx'
import type { ListAddress } from './address.ts'
import { totalQuery } from './users-query.ts'

const number = new Intl.NumberFormat()

export function Total({ address }: { address: ListAddress }) {
  const [exactFor, setExactFor] = useState<string>()
  const { columns: _columns, sort: _sort, ...filters } = address
  const key = JSON.stringify(filters)
  const { data, isFetching } = useQuery(totalQuery(filters, exactFor === key ? 'exact' : 'estimate'))
  return (
    <span className="flex items-center gap-1 text-muted">
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
  if (!isExact) return `About ${number.format(total)} users (estimate)`
  return total === 1 ? '1 user' : `${number.format(total)} users`
}
