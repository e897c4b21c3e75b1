import type { ReactNode } from 'react'
import {
  TextField as AriaTextField,
  FieldError,
  Input,
  Label,
  Text,
  type TextFieldProps,
} from 'react-aria-components'

type Props = Omit<TextFieldProps, 'children'> & {
  label: ReactNode
  hint?: string | undefined
  /** Of the API, for this field. */
  error?: string | undefined
  placeholder?: string
}

export function TextField({ label, hint, error, placeholder, ...props }: Props) {
  return (
    <AriaTextField
      {...props}
      isInvalid={error !== undefined}
      validationBehavior="aria"
      className="flex min-w-0 flex-1 flex-col gap-1"
    >
      <Label className="text-muted">{label}</Label>
      <Input className="field" dir="auto" {...(placeholder !== undefined && { placeholder })} />
      {hint !== undefined && (
        <Text slot="description" className="text-xs text-muted">
          {hint}
        </Text>
      )}
      <FieldError className="text-xs text-danger">{error}</FieldError>
    </AriaTextField>
  )
}
