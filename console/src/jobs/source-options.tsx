// The options of an import that depend on its source.
import type { NewImport } from '../api/directory.ts'
import { SelectField } from '../ui/select-field.tsx'
import { TextField } from '../ui/text-field.tsx'

type Format = NewImport['format']
type Options = NonNullable<NewImport['options']>

/** The values of the fields, by option. */
export type OptionTexts = Record<string, string>

const avatarOptions = {
  name: 'missing_avatars',
  label: 'If an avatar is not in the store',
  options: [
    { value: 'refuse', text: 'Refuse the row' },
    { value: 'drop', text: 'Import without the avatar' },
  ],
}
const foreignOptions = [
  {
    name: 'nested_values',
    label: 'Metadata that is a list or an object',
    options: [
      { value: 'drop', text: 'Leave it out' },
      { value: 'text', text: 'Keep it as JSON text' },
      { value: 'refuse', text: 'Refuse the row' },
    ],
  },
  {
    name: 'unfit_values',
    label: 'Metadata that cannot be an attribute',
    options: [
      { value: 'refuse', text: 'Refuse the row' },
      { value: 'drop', text: 'Leave it out' },
    ],
  },
  {
    name: 'unknown_hashes',
    label: 'A password hash that is not supported',
    options: [
      { value: 'refuse', text: 'Refuse the row' },
      { value: 'drop', text: 'Import without a password' },
    ],
  },
]
const firebaseFields = [
  { name: 'base64_signer_key', label: 'Signer key (base64_signer_key)', type: 'password' },
  { name: 'base64_salt_separator', label: 'Salt separator (base64_salt_separator)', type: 'text' },
  { name: 'rounds', label: 'Rounds (rounds)', type: 'text' },
  { name: 'mem_cost', label: 'Memory cost (mem_cost)', type: 'text' },
]

function isOwn(format: Format): boolean {
  return format === 'ndjson' || format === 'csv'
}

function selectsOf(format: Format) {
  return isOwn(format) ? [avatarOptions] : foreignOptions
}

type Props = { format: Format; texts: OptionTexts; onChange: (texts: OptionTexts) => void }

export function SourceOptions({ format, texts, onChange }: Props) {
  const change = (name: string, value: string) => onChange({ ...texts, [name]: value })
  return (
    <>
      {selectsOf(format).map(({ name, label, options }) => (
        <SelectField
          key={name}
          label={label}
          value={texts[name] ?? options[0]?.value ?? ''}
          options={options}
          onChange={(value) => change(name, value)}
        />
      ))}
      {format === 'firebase' && (
        <fieldset className="flex flex-col gap-2">
          <legend className="mb-1 font-semibold">Password hash parameters</legend>
          <p className="text-muted">
            The Firebase console shows them under Authentication, Users. They are needed if the file has
            password hashes.
          </p>
          {firebaseFields.map(({ name, label, type }) => (
            <TextField
              key={name}
              label={label}
              type={type}
              autoComplete="off"
              value={texts[name] ?? ''}
              onChange={(value) => change(name, value)}
            />
          ))}
        </fieldset>
      )}
    </>
  )
}

/** @returns the API's options; undefined if all have their default */
export function optionsOf(format: Format, texts: OptionTexts): Options | undefined {
  const options: Record<string, unknown> = {}
  for (const { name } of selectsOf(format)) if (texts[name] !== undefined) options[name] = texts[name]
  if (format === 'firebase') {
    const filled = firebaseFields.flatMap(({ name }) => {
      const text = texts[name]?.trim() ?? ''
      if (text === '') return []
      return [[name, name === 'rounds' || name === 'mem_cost' ? Number(text) : text] as const]
    })
    if (filled.length > 0) options.firebase = Object.fromEntries(filled)
  }
  // The API checks the values, and names those that are wrong.
  return Object.keys(options).length === 0 ? undefined : (options as Options)
}
