// A table of a file's columns with a choice of fields.

import { TableHead } from '../ui/table-head.tsx'
import { asNamedOption, type Column, fieldOptions, isAttribute, isOwnColumn } from './column-mapping.ts'

type Props = { columns: Column[]; onChange: (columns: Column[]) => void }

export function MappingTable({ columns, onChange }: Props) {
  const replace = (changed: Column, parts: Partial<Column>) =>
    onChange(columns.map((column) => (column === changed ? { ...column, ...parts } : column)))
  return (
    <div className="overflow-x-auto">
      <table>
        <caption className="pb-1 text-start font-semibold">Columns of the file</caption>
        <TableHead titles={['Column', 'Example', 'Becomes']} />
        <tbody>
          {columns.map((column) => {
            const { position, name, example, field, key } = column
            return (
              <tr key={position} className="border-t border-line">
                <th scope="row" className="py-1 pe-4 text-start font-medium">
                  <bdi>{name}</bdi>
                </th>
                <td className="max-w-48 truncate pe-4 text-muted">
                  <bdi>{isSecret(field) ? '••••' : example}</bdi>
                </td>
                <td className="py-1">
                  <div className="flex gap-2">
                    <select
                      aria-label={`Field of ${name}`}
                      className="field min-w-40"
                      value={field}
                      onChange={(event) => replace(column, { field: event.target.value })}
                    >
                      {[...(isOwnColumn(column) ? [asNamedOption] : []), ...fieldOptions].map(
                        ({ value, text }) => (
                          <option key={value} value={value}>
                            {text}
                          </option>
                        ),
                      )}
                    </select>
                    {isAttribute(field) && (
                      <input
                        aria-label={`Attribute of ${name}`}
                        className="field min-w-32"
                        value={key}
                        placeholder="department"
                        onChange={(event) => replace(column, { key: event.target.value })}
                      />
                    )}
                  </div>
                </td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function isSecret(field: string): boolean {
  return field === 'password' || field === 'password_hash'
}
