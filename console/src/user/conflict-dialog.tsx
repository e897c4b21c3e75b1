// Somebody else has changed the user: theirs and yours side by side, field by field.
import { useState } from 'react'
import type { User } from '../api/directory.ts'
import { Button } from '../ui/button.tsx'
import { contactTypeText } from '../ui/contact-types.ts'
import { Dialog, DialogButtons, UnsavedInput } from '../ui/dialog.tsx'
import {
  type ContactValue,
  fieldsOf,
  fieldTitle,
  isSame,
  type Values,
  valuesFrom,
  valuesOf,
} from './values.ts'

type Side = 'theirs' | 'mine'

type Props = {
  /** Before both changes. */
  base: User
  theirs: User
  mine: Values
  onClose: () => void
  onResolve: (values: Values) => void
}

export function ConflictDialog({ base, theirs, mine, onClose, onResolve }: Props) {
  const [before, other, own] = [fieldsOf(valuesOf(base)), fieldsOf(valuesOf(theirs)), fieldsOf(mine)]
  const names = [...new Set([...other.keys(), ...own.keys()])]
  const different = names.filter((name) => !isSame(other.get(name), own.get(name)))
  // A field that the person has not touched follows the other change.
  const defaultSide = (name: string): Side => (isSame(own.get(name), before.get(name)) ? 'theirs' : 'mine')
  const [sides, setSides] = useState(() => new Map(different.map((name) => [name, defaultSide(name)])))
  const isChosen = different.some((name) => sides.get(name) !== defaultSide(name))

  const resolve = () => {
    const fields = new Map(other)
    for (const [name, side] of sides) if (side === 'mine') fields.set(name, own.get(name))
    onResolve(valuesFrom(fields))
  }
  const choice = (name: string, side: Side, value: unknown) => (
    <td className="border-t border-line p-1.5 align-top">
      <label className="flex items-start gap-2">
        <input
          type="radio"
          name={name}
          className="mt-1"
          checked={sides.get(name) === side}
          onChange={() => setSides(new Map(sides).set(name, side))}
        />
        <span className="sr-only">{`${fieldTitle(name)}, ${side === 'mine' ? 'yours' : 'theirs'}:`}</span>
        <FieldValue name={name} value={value} />
      </label>
    </td>
  )
  return (
    <Dialog title="Somebody else has changed this user" onClose={onClose} isWide>
      <p>
        Nothing has been overwritten. Choose a value for each field; fields that you did not change are set to
        theirs.
      </p>
      <div className="overflow-x-auto">
        <table className="w-full">
          <thead>
            <tr className="text-start text-muted">
              <th scope="col" className="p-1.5 text-start">
                Field
              </th>
              <th scope="col" className="p-1.5 text-start">
                Theirs
              </th>
              <th scope="col" className="p-1.5 text-start">
                Yours
              </th>
            </tr>
          </thead>
          <tbody>
            {different.map((name) => (
              <tr key={name}>
                <th scope="row" className="border-t border-line p-1.5 text-start align-top font-medium">
                  {fieldTitle(name)}
                </th>
                {choice(name, 'theirs', other.get(name))}
                {choice(name, 'mine', own.get(name))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {different.length === 0 && <p>Both changes are the same.</p>}
      <UnsavedInput isUnsaved={isChosen} />
      <DialogButtons>
        <Button onPress={onClose}>Back to editing</Button>
        <Button look="primary" onPress={resolve}>
          Save these values
        </Button>
      </DialogButtons>
    </Dialog>
  )
}

function FieldValue({ name, value }: { name: string; value: unknown }) {
  if (value === undefined || value === null || value === '') return <span className="text-muted">none</span>
  if (name !== 'contacts') return <bdi className="wrap-anywhere">{String(value)}</bdi>
  const contacts = value as ContactValue[]
  if (contacts.length === 0) return <span className="text-muted">none</span>
  return (
    <span className="flex flex-col">
      {contacts.map(({ id, contact_type, value }, index) => (
        <span key={id ?? index}>
          {contactTypeText[contact_type]} <bdi className="wrap-anywhere">{value}</bdi>
        </span>
      ))}
    </span>
  )
}
