// The baselines of imports and exports: COPY of the same rows, into and out of the same indexed tables.
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { v7 as uuidv7 } from 'uuid'
import { copyRow } from '../src/connection/postgres/copy-text.ts'
import { derivedColumns } from '../src/model/search-text.ts'

const hash =
  '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgMTYgYnl0ZQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'

/** Users with one or two contacts, so 1.5 on average. @param round makes their keys unique */
export function* samples(users: number, round: string) {
  for (let at = 0; at < users; at++) yield sample(at, round)
}

function sample(at: number, round: string) {
  const contacts = [
    { contact_type: 'EMAIL', value: `ada.lovelace.${at}@example.com` },
    { contact_type: 'PHONE', value: `+44 20 ${String(at % 10_000_000).padStart(8, '0')}` },
  ]
  return {
    username: `ada.lovelace.${at}.${round}`,
    name: `Ada Lovelace ${at}`,
    external_id: `auth0|${createHash('md5').update(`${at}.${round}`).digest('hex')}`,
    contacts: contacts.slice(0, 1 + (at % 2)),
    password_hash: hash,
  }
}

/** Copies rows that are ready, users first, in two statements. @returns the milliseconds */
export async function copyIn(client: pg.Client, users: number, round: string): Promise<number> {
  const now = new Date()
  const userRows: Buffer[] = []
  const contactRows: Buffer[] = []
  let [userText, contactText] = ['', '']
  for (const user of samples(users, round)) {
    // In order, like the ids of an import: random ones would make the floor's indexes slower.
    const id = uuidv7()
    const derived = derivedColumns({ ...user, externalId: user.external_id })
    userText += copyRow([
      id,
      user.username,
      derived.usernameFolded,
      user.name,
      derived.nameFolded,
      user.password_hash,
      user.external_id,
      {},
      'ACTIVE',
      1,
      now,
      now,
      derived.searchText,
    ])
    for (const [position, { contact_type, value }] of user.contacts.entries())
      contactText += copyRow([uuidv7(), id, position, contact_type, value])
    if (userText.length < 1_000_000) continue
    userRows.push(Buffer.from(userText))
    contactRows.push(Buffer.from(contactText))
    userText = contactText = ''
  }
  userRows.push(Buffer.from(userText))
  contactRows.push(Buffer.from(contactText))
  const startedAt = performance.now()
  await client.query('BEGIN')
  await copy(
    client,
    'users (id, username, username_folded, name, name_folded, password_hash, external_id, attributes, status, version, created_at, updated_at, search_text)',
    userRows,
  )
  await copy(client, 'contacts (id, user_id, position, contact_type, value)', contactRows)
  await client.query('COMMIT')
  return performance.now() - startedAt
}

async function copy(client: pg.Client, target: string, rows: Buffer[]): Promise<void> {
  const stream = client.query(copyFrom(`COPY ${target} FROM STDIN`))
  Readable.from(rows).pipe(stream)
  await finished(stream)
}

/** Copies the rows of statements out and drops them. @returns the milliseconds */
export async function copyOut(client: pg.Client, statements: string[]): Promise<number> {
  const startedAt = performance.now()
  for (const statement of statements) {
    const stream = client.query(copyTo(`COPY ${statement} TO STDOUT`))
    stream.resume()
    await finished(stream)
  }
  return performance.now() - startedAt
}
