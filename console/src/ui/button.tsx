import { Button as AriaButton, type ButtonProps } from 'react-aria-components'

const base =
  'inline-flex min-h-8 cursor-default items-center justify-center gap-1.5 whitespace-nowrap rounded-md border px-3 ' +
  'disabled:opacity-55 pressed:translate-y-px'

const looks = {
  plain: 'border-line bg-surface hover:bg-hover',
  primary: 'border-transparent bg-accent font-medium text-on-accent',
  danger: 'border-danger bg-surface text-danger hover:bg-hover',
  quiet: 'border-transparent px-2 hover:bg-hover',
}

export function Button({
  look = 'plain',
  className = '',
  ...props
}: ButtonProps & { look?: keyof typeof looks; className?: string }) {
  return <AriaButton {...props} className={`${base} ${looks[look]} ${className}`} />
}
