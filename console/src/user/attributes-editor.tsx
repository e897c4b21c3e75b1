// Attributes: a name, a type and a value each.
import { Button } from '../ui/button.tsx'
import { SelectField } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'
import { type AttributeRow, type AttributeType, attributePointer, newKey } from './draft.ts'
import type { FieldErrors } from './field-errors.ts'

const attributesMax = 50

const typeOptions = [
  { value: 'text', text: 'Text' },
  { value: 'number', text: 'Number' },
  { value: 'boolean', text: 'Yes or no' },
]
const booleanOptions = [
  { value: 'true', text: 'Yes' },
  { value: 'false', text: 'No' },
]

type Props = { rows: AttributeRow[]; errors: FieldErrors; onChange: (rows: AttributeRow[]) => void }

export function AttributesEditor({ rows, errors, onChange }: Props) {
  const replace = (index: number, row: AttributeRow) => onChange(rows.with(index, row))
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 font-semibold">Attributes</legend>
      {rows.map((row, index) => (
        <div key={row.key} className="flex flex-wrap items-start gap-2">
          <TextField
            label={`Name of attribute ${index + 1}`}
            value={row.name}
            error={errors.get(attributePointer(row.name))}
            placeholder="department"
            onChange={(name) => replace(index, { ...row, name })}
          />
          <SelectField
            label={`Type of attribute ${index + 1}`}
            value={row.type}
            options={typeOptions}
            onChange={(type) => replace(index, retyped(row, type as AttributeType))}
          />
          {row.type === 'boolean' ? (
            <SelectField
              label={`Value of attribute ${index + 1}`}
              value={row.value}
              options={booleanOptions}
              onChange={(value) => replace(index, { ...row, value })}
            />
          ) : (
            <TextField
              label={`Value of attribute ${index + 1}`}
              value={row.value}
              onChange={(value) => replace(index, { ...row, value })}
            />
          )}
          <span className="pt-6">
            <Button
              look="quiet"
              aria-label={`Remove attribute ${index + 1}`}
              onPress={() => onChange(rows.toSpliced(index, 1))}
            >
              ✕
            </Button>
          </span>
        </div>
      ))}
      {errors.has('/attributes') && <p className="text-xs text-danger">{errors.get('/attributes')}</p>}
      <Button
        className="self-start"
        isDisabled={rows.length >= attributesMax}
        onPress={() => onChange([...rows, { key: newKey(), name: '', type: 'text', value: '' }])}
      >
        Add an attribute
      </Button>
    </fieldset>
  )
}

function retyped(row: AttributeRow, type: AttributeType): AttributeRow {
  const text = row.text ?? row.value
  if (type !== 'boolean') return { ...row, type, value: text, text: undefined }
  return { ...row, type, value: text === 'true' ? 'true' : 'false', text }
}
