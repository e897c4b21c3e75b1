// The name beside it says who this is, so screen readers skip the picture.
import type { User } from '../api/directory.ts'

export function Avatar({ user, className = 'size-6' }: { user: User; className?: string }) {
  const shape = `${className} shrink-0 rounded-full bg-hover`
  if (user.avatar_url !== null)
    return <img src={user.avatar_url} alt="" loading="lazy" className={`${shape} object-cover`} />
  const [letter = ''] = user.name?.trim() || user.username
  return (
    <span aria-hidden="true" className={`${shape} inline-flex items-center justify-center text-muted`}>
      {letter.toUpperCase()}
    </span>
  )
}
