// The exact filters. Each change goes to the address at once.
import { useState } from 'react'
import { Button } from '../ui/button.tsx'
import { contactTypeOptions } from '../ui/contact-types.ts'
import { SelectField } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'
import type { Change, FilterName, ListAddress } from './address.ts'

type Props = { address: ListAddress; onChange: (change: Change) => void; onClear: () => void }

const statusOptions = [
  { value: '', text: 'Any' },
  { value: 'ACTIVE', text: 'Active' },
  { value: 'BLOCKED', text: 'Blocked' },
]
const texts: readonly { name: FilterName; label: string; hint?: string }[] = [
  { name: 'username', label: 'Username is' },
  { name: 'contact', label: 'Contact is', hint: 'An e-mail address or number, exactly' },
  { name: 'external_id', label: 'External id is' },
  { name: 'attribute', label: 'Attribute is', hint: 'Such as department=Engines' },
]
const times: readonly { name: FilterName; label: string }[] = [
  { name: 'created_after', label: 'Created after' },
  { name: 'created_before', label: 'Created before' },
  { name: 'updated_after', label: 'Changed after' },
  { name: 'updated_before', label: 'Changed before' },
]

export default function Filters({ address, onChange, onClear }: Props) {
  return (
    <section
      aria-label="Filters"
      className="grid grid-cols-[repeat(auto-fill,minmax(13rem,1fr))] items-start gap-3 border-t border-line bg-raised p-3"
    >
      <SelectField
        label="Status"
        value={address.status ?? ''}
        options={statusOptions}
        onChange={(status) => onChange({ status })}
      />
      <SelectField
        label="Has a contact of type"
        value={address.contact_type ?? ''}
        options={[{ value: '', text: 'Any' }, ...contactTypeOptions]}
        onChange={(contact_type) => onChange({ contact_type })}
      />
      {texts.map(({ name, label, hint }) => (
        <TextFilter
          // Another address, as of a saved view, replaces the input.
          key={`${name} ${address[name] ?? ''}`}
          label={label}
          hint={hint}
          value={address[name] ?? ''}
          onChange={(value) => onChange({ [name]: value.trim() })}
        />
      ))}
      {times.map(({ name, label }) => (
        <TimeFilter
          key={`${name} ${address[name] ?? ''}`}
          label={label}
          value={address[name]}
          onChange={(value) => onChange({ [name]: value })}
        />
      ))}
      <div className="flex flex-wrap gap-2 self-end">
        <Button onPress={() => onChange({ updated_after: yesterday(), sort: '-updated_at' })}>
          Changed since yesterday
        </Button>
        <Button onPress={onClear}>Remove all filters</Button>
      </div>
    </section>
  )
}

type TextFilterProps = {
  label: string
  hint?: string | undefined
  value: string
  onChange: (value: string) => void
}

/** Takes effect with Enter, or when the focus leaves. */
function TextFilter({ label, hint, value, onChange }: TextFilterProps) {
  const [input, setInput] = useState(value)
  const apply = () => {
    if (input.trim() !== value) onChange(input)
  }
  return (
    <TextField
      label={label}
      hint={hint}
      value={input}
      maxLength={512}
      onChange={setInput}
      onBlur={apply}
      onKeyDown={(event) => {
        if (event.key === 'Enter') apply()
      }}
    />
  )
}

type TimeFilterProps = { label: string; value: string | undefined; onChange: (value?: string) => void }

/** The address holds the instant, so that a link means the same in another time zone. */
function TimeFilter({ label, value, onChange }: TimeFilterProps) {
  const [input, setInput] = useState(value === undefined ? '' : toLocal(value))
  return (
    <TextField
      label={label}
      type="datetime-local"
      value={input}
      onChange={setInput}
      onBlur={() => {
        const date = new Date(input)
        const instant = Number.isNaN(date.getTime()) ? undefined : date.toISOString()
        if (toLocal(instant ?? '') !== toLocal(value ?? '')) onChange(instant)
      }}
    />
  )
}

/** @returns the start of yesterday where the person is */
function yesterday(): string {
  const now = new Date()
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1).toISOString()
}

/** @returns the text for an input of type datetime-local, or '' without a valid instant */
function toLocal(instant: string): string {
  const date = new Date(instant)
  if (Number.isNaN(date.getTime())) return ''
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
