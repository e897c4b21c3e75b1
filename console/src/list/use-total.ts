import { useIsFetching, useQuery } from '@tanstack/react-query'
import type { ListAddress } from './address.ts'
import { totalQuery } from './users-query.ts'

/** How many users match. Counted after the rows have come, because PostgreSQL would answer both later. */
export function useTotal(address: ListAddress, count: 'estimate' | 'exact') {
  const areRowsLoading = useIsFetching({ queryKey: ['users'] }) > 0
  return useQuery({ ...totalQuery(address, count), enabled: !areRowsLoading })
}
