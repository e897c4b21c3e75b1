// Leads to the previous and the next page of a table that is read by cursor.
import { Button } from '../ui/button.tsx'

/** The cursors of the pages before this one, and of this one. The first page has none. */
export type Cursors = (string | undefined)[]

type Props = {
  label: string
  cursors: Cursors
  /** null on the last page */
  next: string | null
  isLoading: boolean
  onChange: (cursors: Cursors) => void
}

/** Shows nothing if there is one page only. */
export function PageButtons({ label, cursors, next, isLoading, onChange }: Props) {
  if (cursors.length === 1 && next === null) return null
  return (
    <nav aria-label={label} className="flex items-center gap-2">
      <Button isDisabled={cursors.length === 1 || isLoading} onPress={() => onChange(cursors.slice(0, -1))}>
        Previous
      </Button>
      <span role="status">Page {cursors.length}</span>
      <Button
        isDisabled={next === null || isLoading}
        onPress={() => onChange([...cursors, next ?? undefined])}
      >
        Next
      </Button>
    </nav>
  )
}
