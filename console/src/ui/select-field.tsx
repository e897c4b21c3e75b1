// The browser's own select, which needs no script of ours.
import { useId } from 'react'

type Props = {
  label: string
  value: string
  options: readonly { value: string; text: string }[]
  onChange: (value: string) => void
  isDisabled?: boolean
  error?: string | undefined
}

export function SelectField({ label, value, options, onChange, isDisabled = false, error }: Props) {
  const id = useId()
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-muted">
        {label}
      </label>
      <select
        id={id}
        className="field"
        value={value}
        disabled={isDisabled}
        aria-invalid={error !== undefined}
        {...(error !== undefined && { 'aria-describedby': `${id}-error` })}
        onChange={(event) => onChange(event.target.value)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.text}
          </option>
        ))}
      </select>
      {error !== undefined && (
        <span id={`${id}-error`} className="text-xs text-danger">
          {error}
        </span>
      )}
    </div>
  )
}
