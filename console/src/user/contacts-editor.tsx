// Contacts in their order. Buttons, Alt with the arrows, or dragging move them.
import { type KeyboardEvent, useState } from 'react'
import { Button } from '../ui/button.tsx'
import { contactTypeOptions } from '../ui/contact-types.ts'
import { SelectField } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'
import { type ContactRow, newKey } from './draft.ts'
import { useDragRows } from './drag-rows.ts'
import type { FieldErrors } from './field-errors.ts'

const contactsMax = 50

type Props = { rows: ContactRow[]; errors: FieldErrors; onChange: (rows: ContactRow[]) => void }

export function ContactsEditor({ rows, errors, onChange }: Props) {
  const [announcement, setAnnouncement] = useState('')
  const replace = (index: number, row: ContactRow) => onChange(rows.with(index, row))
  const move = (from: number, to: number) => {
    const row = rows[from]
    if (!row || !rows[to]) return
    onChange(rows.toSpliced(from, 1).toSpliced(to, 0, row))
    setAnnouncement(`Contact moved to place ${to + 1} of ${rows.length}.`)
  }
  const { handle, dropSide, isDragged } = useDragRows(move)
  const moveByKey = (event: KeyboardEvent, index: number) => {
    const by = ({ ArrowUp: -1, ArrowDown: 1 } as const)[event.key]
    if (by === undefined || !event.altKey) return
    event.preventDefault()
    move(index, index + by)
  }

  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 font-semibold">Contacts</legend>
      <ol className="flex flex-col gap-2">
        {rows.map((row, index) => (
          <li
            key={row.key}
            onKeyDown={(event) => moveByKey(event, index)}
            className={`flex flex-wrap items-start gap-2 ${isDragged(index) ? 'opacity-50' : ''} ${dropClass(dropSide(index))}`}
          >
            <span
              aria-hidden="true"
              title="Drag to another place"
              className="cursor-grab touch-none px-1 pt-7 text-muted select-none"
              {...handle(index)}
            >
              ⠿
            </span>
            <SelectField
              label={`Type of contact ${index + 1}`}
              value={row.contact_type}
              options={contactTypeOptions}
              error={errors.get(`/contacts/${index}/contact_type`)}
              onChange={(type) =>
                replace(index, { ...row, contact_type: type as ContactRow['contact_type'] })
              }
            />
            <TextField
              label={`Contact ${index + 1}`}
              value={row.value}
              error={errors.get(`/contacts/${index}/value`) ?? errors.get(`/contacts/${index}`)}
              onChange={(value) => replace(index, { ...row, value })}
            />
            <span className="flex gap-1 pt-6">
              <Button
                look="quiet"
                aria-label={`Move contact ${index + 1} up`}
                isDisabled={index === 0}
                onPress={() => move(index, index - 1)}
              >
                ↑
              </Button>
              <Button
                look="quiet"
                aria-label={`Move contact ${index + 1} down`}
                isDisabled={index === rows.length - 1}
                onPress={() => move(index, index + 1)}
              >
                ↓
              </Button>
              <Button
                look="quiet"
                aria-label={`Remove contact ${index + 1}`}
                onPress={() => onChange(rows.toSpliced(index, 1))}
              >
                ✕
              </Button>
            </span>
          </li>
        ))}
      </ol>
      {errors.has('/contacts') && <p className="text-xs text-danger">{errors.get('/contacts')}</p>}
      <Button
        className="self-start"
        isDisabled={rows.length >= contactsMax}
        onPress={() => onChange([...rows, { key: newKey(), contact_type: 'PHONE', value: '' }])}
      >
        Add a contact
      </Button>
      <span role="status" className="sr-only">
        {announcement}
      </span>
    </fieldset>
  )
}

function dropClass(side: 'before' | 'after' | undefined): string {
  if (side === undefined) return ''
  return side === 'before' ? 'border-t-2 border-accent' : 'border-b-2 border-accent'
}
