import type { ComponentProps } from 'react'

const base =
  'inline-flex min-h-8 cursor-default items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-3 ' +
  'aria-disabled:opacity-55 active:translate-y-px'

const looks = {
  plain: 'border-line bg-surface hover:bg-hover',
  primary: 'border-transparent bg-accent font-medium text-on-accent',
  danger: 'border-danger bg-surface text-danger hover:bg-hover',
  quiet: 'border-transparent px-2 hover:bg-hover',
}

type Props = Omit<ComponentProps<'button'>, 'onClick' | 'disabled'> & {
  look?: keyof typeof looks
  /** Keeps the focus, which the browser's own `disabled` would drop in the midst of a dialog. */
  isDisabled?: boolean
  onPress?: () => void
}

/** The browser's own button, because React Aria's loads and renders much more. */
export function Button({ look = 'plain', className = '', isDisabled = false, onPress, ...props }: Props) {
  return (
    <button
      type="button"
      {...props}
      aria-disabled={isDisabled}
      className={`${base} ${looks[look]} ${className}`}
      onClick={(event) => {
        // Prevented, a button submits no form. The Enter key in a field presses the form's button, too.
        if (isDisabled) event.preventDefault()
        else onPress?.()
      }}
    />
  )
}
