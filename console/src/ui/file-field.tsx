// The browser's own field for a file.
import { useId } from 'react'

type Props = {
  label: string
  accept?: string
  /** Of the last choice. */
  error?: string | undefined
  onChange: (file: File | undefined) => void
}

export function FileField({ label, accept, error, onChange }: Props) {
  const id = useId()
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label htmlFor={id} className="text-muted">
        {label}
      </label>
      <input
        id={id}
        type="file"
        className="max-w-full"
        accept={accept}
        aria-invalid={error !== undefined}
        onChange={({ target: { files } }) => onChange(files?.[0])}
      />
      {error !== undefined && (
        <p role="alert" className="text-danger">
          {error}
        </p>
      )}
    </div>
  )
}
