import type { ComponentProps } from 'react'

const base =
  'inline-flex min-h-8 cursor-default items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-3 ' +
  'disabled:opacity-55 active:translate-y-px'

const looks = {
  plain: 'border-line bg-surface hover:bg-hover',
  primary: 'border-transparent bg-accent font-medium text-on-accent',
  danger: 'border-danger bg-surface text-danger hover:bg-hover',
  quiet: 'border-transparent px-2 hover:bg-hover',
}

type Props = Omit<ComponentProps<'button'>, 'onClick' | 'disabled'> & {
  look?: keyof typeof looks
  isDisabled?: boolean
  onPress?: () => void
}

/** The browser's own button, because React Aria's loads and renders much more. */
export function Button({ look = 'plain', className = '', isDisabled = false, onPress, ...props }: Props) {
  return (
    <button
      type="button"
      {...props}
      disabled={isDisabled}
      className={`${base} ${looks[look]} ${className}`}
      onClick={() => onPress?.()}
    />
  )
}
