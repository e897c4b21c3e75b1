// Times as the person's locale writes them.
const short = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' })

export function Time({ value }: { value: string }) {
  const date = new Date(value)
  return (
    <time dateTime={value} title={full.format(date)}>
      {short.format(date)}
    </time>
  )
}
