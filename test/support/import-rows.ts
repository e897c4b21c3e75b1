// The rows of imports that are killed: every outcome, every kind of field, and images in the store.
import { png } from './picture.ts'

const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'
const seedEvery = 7
const imageEvery = 400
// Few rows are longer, so that the file has several ranges and parts too.
const fewRows = 50_000

/** Users whom the import finds. */
export function* seedRows(rows: number) {
  for (let at = 0; at < rows; at += seedEvery)
    yield {
      username: `User.${at}`,
      name: 'Seed',
      external_id: `x|${at}`,
      attributes: { seed: true },
      contacts: [{ contact_type: 'PHONE', value: `+44 20 ${at}` }],
      password: null,
    }
}

export async function killedRows(rows: number): Promise<Iterable<object>> {
  const image = `data:image/png;base64,${Buffer.from(await png()).toString('base64')}`
  const note = rows < fewRows ? 'n'.repeat(500) : undefined
  return (function* () {
    for (let at = 0; at < rows; at++) {
      // Every hundredth row repeats a key, and every thousandth is malformed.
      const username = at % 100 === 99 ? `user.${at - 50}` : `user.${at}`
      const contact_type = at % 1_000 === 500 ? 'FAX' : 'EMAIL'
      const isOwn = at % 10 === 3
      yield {
        username,
        name: at % 3 === 0 ? null : `Zoë "${at}" \\ 高橋`,
        external_id: `x|${at}`,
        attributes: { at, is_even: at % 2 === 0, ...(note && { note, other: note, third: note }) },
        contacts: [
          { contact_type, value: `user.${at}@example.com` },
          ...(at % 2 === 0 ? [{ contact_type: 'PHONE', value: `+44 20 ${at}` }] : []),
        ],
        ...(at % 5 === 0 && { status: 'BLOCKED' }),
        ...(at % imageEvery === 2 && { avatar: image }),
        ...(at % 2 === 0 ? { password_hash: hash } : { password: null }),
        // Ids and times of its own, which the import keeps.
        ...(isOwn && {
          id: `0197f3c2-6d1a-7c54-9a0e-${at.toString(16).padStart(12, '0')}`,
          version: 3,
          created_at: '2020-01-02T03:04:05.678Z',
          updated_at: '2021-01-02T03:04:05.678Z',
        }),
      }
    }
  })()
}
