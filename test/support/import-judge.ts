// Judges live writes that race with an import. It replays each user's acknowledged writes, with the import's row at most
// once in between, and checks every answer and the final state against that.
import { isDeepStrictEqual } from 'node:util'
import type { ImportBody } from '../../src/model/job.ts'
import type { User } from '../../src/model/user.ts'

export type Choice = Pick<ImportBody, 'on_conflict' | 'match'>

/** The compared fields of a user. */
export type Facts = Pick<User, 'username' | 'name' | 'status' | 'external_id' | 'attributes'> & {
  contacts: { contact_type: string; value: string }[]
}
export type Seen = Facts & { id: string; version: number }

/** A user, as the acknowledged writes and answers so far leave it. */
export type History = {
  key: number
  id: string
  origin: 'seed' | 'live' | 'import'
  facts: Facts
  version: number
  isErased: boolean
}

type Change = { kind: 'patch' | 'row'; fields: Partial<Facts> }

const complaintsMax = 20

/** @param rowOf the import's row with this key, as it creates a user */
export function createImportJudge({ on_conflict, match }: Choice, rowOf: (key: number) => Facts) {
  const complaints: string[] = []
  let faults = 0
  const histories = new Map<string, History>()
  /** The user that each key's row has created or changed. A row has one effect. */
  const effects = new Map<number, string>()

  const complain = (text: string): void => {
    faults++
    if (complaints.length < complaintsMax) complaints.push(text)
  }
  const begin = (seen: Seen, { key, origin }: Pick<History, 'key' | 'origin'>): History => {
    const history = { key, origin, id: seen.id, facts: factsOf(seen), version: seen.version, isErased: false }
    if (histories.has(seen.id)) complain(`${seen.id} was created twice`)
    histories.set(seen.id, history)
    return history
  }
  const takeRow = (key: number, id: string): void => {
    if (effects.has(key)) complain(`row ${key} took effect on ${effects.get(key)} and on ${id}`)
    effects.set(key, id)
  }
  /** The changes that the import may make to a user in this state. */
  const rowsFor = ({ key, facts, origin }: History): Change[] => {
    const { status: _, ...fields } = rowOf(key)
    const isMatch =
      match === 'username'
        ? facts.username.toLowerCase() === fields.username
        : facts.external_id === fields.external_id
    return on_conflict === 'update' && origin !== 'import' && isMatch && !effects.has(key)
      ? [{ kind: 'row', fields }]
      : []
  }
  /** Accepts what is seen if one of the paths leads to it. */
  const settle = (history: History, seen: Seen, paths: Change[][]): void => {
    const path = paths.find((path) => {
      const facts = path.reduce(apply, history.facts)
      return seen.version === history.version + path.length && isDeepStrictEqual(facts, factsOf(seen))
    })
    if (!path)
      complain(
        `user ${history.id} of row ${history.key} (${history.origin}) was ${describe(history)} and is ${describe(seen)}`,
      )
    if (path?.some(({ kind }) => kind === 'row')) takeRow(history.key, history.id)
    history.facts = factsOf(seen)
    history.version = seen.version
  }

  return {
    complaints,
    faults: () => faults,
    complain,
    histories,
    effects,
    seed: (key: number, seen: Seen) => begin(seen, { key, origin: 'seed' }),
    /** A create was acknowledged. */
    created: (key: number, seen: Seen, sent: Facts): History => {
      const holder = [...histories.values()].find(
        (other) => other.key === key && !other.isErased && other.facts.username === seen.username,
      )
      if (holder) complain(`${seen.id} was created although ${holder.id} has its username`)
      if (seen.version !== 1 || !isDeepStrictEqual(factsOf(seen), sent))
        complain(`a create of ${JSON.stringify(sent)} was answered ${describe(seen)}`)
      return begin(seen, { key, origin: 'live' })
    },
    /** A user appeared that no acknowledged write has created, so the import must have. */
    found: (key: number, seen: Seen): History => {
      if (seen.version !== 1 || !isDeepStrictEqual(factsOf(seen), rowOf(key)))
        complain(`row ${key} has created ${describe(seen)}`)
      takeRow(key, seen.id)
      return begin(seen, { key, origin: 'import' })
    },
    /** A change was acknowledged. The import's row may have been first. */
    patched: (history: History, fields: Partial<Facts>, seen: Seen): void => {
      const patch: Change = { kind: 'patch', fields }
      settle(history, seen, [[patch], ...rowsFor(history).map((row) => [row, patch])])
    },
    /** The answer to a change was lost, so it may have been made. */
    maybePatched: (history: History, fields: Partial<Facts>, seen: Seen): void => {
      const patch: Change = { kind: 'patch', fields }
      const rows = rowsFor(history)
      settle(history, seen, [[], [patch], ...rows.flatMap((row) => [[row], [row, patch], [patch, row]])])
    },
    /** A read was answered, after all acknowledged changes. */
    read: (history: History, seen: Seen): void => {
      if (history.isErased) complain(`${history.id} is back after its erasure`)
      settle(history, seen, [[], ...rowsFor(history).map((row) => [row])])
    },
    missing: (history: History): void => {
      if (!history.isErased) complain(`${describe(history)} is lost: ${history.id} of row ${history.key}`)
      history.isErased = true
    },
  }
}

export type ImportJudge = ReturnType<typeof createImportJudge>

function apply(facts: Facts, { kind, fields }: Change): Facts {
  const attributes =
    kind === 'patch' ? { ...facts.attributes, ...fields.attributes } : (fields.attributes ?? facts.attributes)
  return { ...facts, ...fields, attributes }
}

function factsOf({ username, name, status, external_id, attributes, contacts }: Facts): Facts {
  return {
    username,
    name,
    status,
    external_id,
    attributes,
    contacts: contacts.map(({ contact_type, value }) => ({ contact_type, value })),
  }
}

function describe(state: History | Seen): string {
  const facts = 'facts' in state ? state.facts : factsOf(state)
  return `version ${state.version} ${JSON.stringify(facts)}`
}
