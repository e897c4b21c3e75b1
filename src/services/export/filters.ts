// Reads the filters of an export, which are the parameters of the list.
import { type Fault, invalid } from '../../model/errors.ts'
import { type ListQuery, listQuery } from '../../model/listing.ts'
import { check } from '../../model/validate.ts'

const paging = ['sort', 'limit', 'cursor', 'count']

/** @throws ServiceError `invalid` */
export function readFilters(filters: Record<string, string> = {}): ListQuery {
  const checked = check(listQuery, filters, 'pointer')
  const faults: Fault[] = [
    ...paging
      .filter((name) => name in filters)
      .map((name) => ({ pointer: `/${name}`, message: 'is not a filter; remove it' })),
    ...('faults' in checked ? checked.faults : []),
  ]
  if ('faults' in checked || faults.length > 0)
    throw invalid(
      ...faults.map((fault) => ({ ...fault, pointer: `/filters${'pointer' in fault ? fault.pointer : ''}` })),
    )
  return checked.value
}
