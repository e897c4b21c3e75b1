// The writes of a race with an import: creates, changes, renames and erasures of the users of one row.
import type { User } from '../../src/model/user.ts'
import type { Facts, History, ImportJudge } from './import-judge.ts'

/** A password hash, because hashing would be slower than the race. */
const hash = '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'

export type Call = <T>(method: string, path: string, body?: unknown) => Promise<{ status: number; body: T }>

export type Turn = {
  judge: ImportJudge
  call: Call
  /** Like `call`, but undefined without an answer. */
  write: <T>(method: string, path: string, body?: unknown) => Promise<{ status: number; body: T } | undefined>
  key: number
  /** The users of this key. */
  known: History[]
  /** A text of its own for each write. */
  turn: string
}

/** Makes one write, and judges its answer. */
export async function act(at: Turn): Promise<void> {
  const living = at.known.filter(({ isErased }) => !isErased)
  const history = living[Math.floor(Math.random() * living.length)]
  const dice = Math.random()
  if (!history || dice < 0.3) return create(at)
  if (dice < 0.45) return erase(at, history)
  return patch(at, history)
}

async function create({ judge, call, write, key, known, turn }: Turn): Promise<void> {
  const sent: Facts = {
    username: `race.${key}`,
    name: `live ${turn}`,
    status: 'ACTIVE',
    external_id: Math.random() < 0.5 ? `x|${key}` : null,
    attributes: { source: 'live' },
    contacts: [{ contact_type: 'WORK', value: turn }],
  }
  const { external_id, ...fields } = sent
  const body = { ...fields, ...(external_id !== null && { external_id }), password_hash: hash }
  const answer = await write<User>('POST', '/user', body)
  if (answer?.status === 201) known.push(judge.created(key, answer.body, sent))
  else if (answer?.status !== 429) {
    // Another user has the name or the external id, or the answer was lost.
    if (answer && ![409, 503].includes(answer.status))
      judge.complain(`a create was answered ${answer.status}`)
    const filters = [`username=race.${key}`, `external_id=${encodeURIComponent(`x|${key}`)}`]
    let holders = 0
    for (const filter of filters) {
      const { body } = await call<{ items: User[] }>('GET', `/user?${filter}`)
      for (const user of body.items) {
        holders++
        if (known.some(({ id }) => id === user.id)) continue
        const isOwn = answer?.status !== 409 && user.name === sent.name
        known.push(isOwn ? judge.created(key, user, sent) : judge.found(key, user))
      }
    }
    if (holders === 0 && answer?.status === 409)
      judge.complain(`row ${key} has no user, but a create of it got 409`)
  }
}

async function erase({ judge, call, write }: Turn, history: History): Promise<void> {
  const answer = await write('DELETE', `/user/${history.id}`)
  if (answer?.status === 204) history.isErased = true
  else if (answer?.status === 404) judge.missing(history)
  else if (answer?.status !== 429) {
    if (answer && answer.status !== 503) judge.complain(`an erasure was answered ${answer.status}`)
    history.isErased = (await call('GET', `/user/${history.id}`)).status === 404
  }
}

async function patch({ judge, call, write, key, turn }: Turn, history: History): Promise<void> {
  const variants: Partial<Facts>[] = [
    { name: `patched ${turn}` },
    { name: `patched ${turn}`, status: history.facts.status === 'ACTIVE' ? 'BLOCKED' : 'ACTIVE' },
    { attributes: { mark: turn } },
    { contacts: [{ contact_type: 'WHATSAPP', value: turn }] },
    { username: `race.${key}.${turn.replace('/', '.')}` },
    { name: `patched ${turn}`, username: `race.${key}` },
    { name: `patched ${turn}`, external_id: `y|${key}|${turn}` },
  ]
  const fields = variants[Math.floor(Math.random() * variants.length)] ?? {}
  const answer = await write<User>('PATCH', `/user/${history.id}`, fields)
  if (answer?.status === 200) judge.patched(history, fields, answer.body)
  else if (answer?.status === 404) judge.missing(history)
  else if (answer?.status === 409) {
    if (fields.username !== `race.${key}`) judge.complain(`a change to ${JSON.stringify(fields)} got 409`)
  } else if (answer?.status !== 429) {
    if (answer && answer.status !== 503) judge.complain(`a change was answered ${answer.status}`)
    const { status, body } = await call<User>('GET', `/user/${history.id}`)
    if (status === 200) judge.maybePatched(history, fields, body)
  }
  const read = await call<User>('GET', `/user/${history.id}`)
  if (read.status === 200) judge.read(history, read.body)
  else if (read.status === 404) judge.missing(history)
}
