// A user as an export holds it.
import type { User } from '../../model/user.ts'

/**
 * The user of the API without `avatar_url`, which depends on the deployment. `password_hash` is present only where the
 * export includes hashes; null stands for a user without a password.
 */
export type ExportedUser = Omit<User, 'avatar_url'> & {
  external_id: string | null
  attributes: Record<string, string | number | boolean>
  password_hash?: string | null
}
