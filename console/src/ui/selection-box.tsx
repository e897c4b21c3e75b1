// The checkbox of a grid's row.
import { Checkbox } from 'react-aria-components'

export function SelectionBox({ label }: { label: string }) {
  return (
    <Checkbox slot="selection" aria-label={label} className="flex size-6 items-center justify-center">
      {({ isSelected, isIndeterminate, isFocusVisible }) => (
        <span
          className={`flex size-4 items-center justify-center rounded border border-control text-xs leading-none ${
            isSelected || isIndeterminate ? 'bg-accent text-on-accent' : 'bg-surface'
          } ${isFocusVisible ? 'outline-2 outline-offset-1 outline-accent' : ''}`}
        >
          {isIndeterminate ? '–' : isSelected ? '✓' : ''}
        </span>
      )}
    </Checkbox>
  )
}
