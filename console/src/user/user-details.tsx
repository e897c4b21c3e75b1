import type { ReactNode } from 'react'
import type { User } from '../api/directory.ts'
import { contactTypeText } from '../ui/contact-types.ts'
import { Time } from '../ui/time.tsx'
import { LastSessionEnd } from './session-end.tsx'

export function UserDetails({ user }: { user: User }) {
  const attributes = Object.entries(user.attributes)
  return (
    <dl className="grid max-w-2xl grid-cols-1 gap-x-6 gap-y-2 sm:grid-cols-[10rem_1fr]">
      <Detail title="Contacts">
        {user.contacts.length === 0 ? (
          <None />
        ) : (
          <ul>
            {user.contacts.map(({ id, contact_type, value }) => (
              <li key={id}>
                <bdi>{value}</bdi> <span className="text-muted">{contactTypeText[contact_type]}</span>
              </li>
            ))}
          </ul>
        )}
      </Detail>
      <Detail title="Attributes">
        {attributes.length === 0 ? (
          <None />
        ) : (
          <ul>
            {attributes.map(([key, value]) => (
              <li key={key}>
                <span className="text-muted">{key}</span> <bdi>{String(value)}</bdi>
              </li>
            ))}
          </ul>
        )}
      </Detail>
      <Detail title="External id">
        {user.external_id === null ? <None /> : <bdi>{user.external_id}</bdi>}
      </Detail>
      <Detail title="Created">
        <Time value={user.created_at} />
      </Detail>
      <Detail title="Changed">
        <Time value={user.updated_at} />
      </Detail>
      <LastSessionEnd userId={user.id} />
      <Detail title="Version">{user.version}</Detail>
      <Detail title="Id">
        <code>{user.id}</code>
      </Detail>
    </dl>
  )
}

function Detail({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="contents">
      <dt className="text-muted">{title}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </div>
  )
}

function None() {
  return <span className="text-muted">none</span>
}
