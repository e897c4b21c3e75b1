// Times as the person's locale writes them.
const short = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** The title has the full time. It waits for the pointer, because a long form takes long to format. */
export function Time({ value }: { value: string }) {
  const date = new Date(value)
  return (
    <time
      dateTime={value}
      onPointerEnter={({ currentTarget }) => {
        currentTarget.title = date.toLocaleString(undefined, { dateStyle: 'full', timeStyle: 'long' })
      }}
    >
      {short.format(date)}
    </time>
  )
}
