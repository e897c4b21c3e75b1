// Creates sample users for development and benchmarks, with contacts, and avatars for some.

import { randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Attributes } from '../model/attributes.ts'
import { avatarKey } from '../model/avatar-key.ts'
import { derivedColumns } from '../model/search-text.ts'
import type { ContactType } from '../model/user.ts'
import { toAvatar } from '../services/avatars/encode.ts'
import type { ServiceContext } from '../services/context.ts'
import { hashPassword } from '../services/identity/passwords.ts'

/** The password of every sample user. */
export const samplePassword = 'sample-password'

const givenNames = [
  'Ada',
  'Grace',
  'Alan',
  'Edsger',
  'Barbara',
  'Donald',
  'Радия',
  'Margaret',
  'Tim',
  'Frances',
  'Ken',
  'Sophie',
  'Leslie',
  'Adele',
  'Niklaus',
  'Shafi',
  'João',
  'Anita',
  'Željko',
  'Hedy',
  '美羽',
  'Katherine',
  'Łukasz',
  'Mary',
  'Αλέξανδρος',
] as const
const familyNames = [
  'Lovelace',
  'Hopper',
  'Turing',
  'Dijkstra',
  'Liskov',
  'Knuth',
  'Перлман',
  'Hamilton',
  'Berners-Lee',
  'Allen',
  'Thompson',
  'Wilson',
  'Lamport',
  'Goldberg',
  'Wirth',
  'Goldwasser',
  'Araújo',
  'Borg',
  'Horvat',
  'Lamarr',
  '高橋',
  'Johnson',
  'Nowak',
  'Jackson',
  'Παπαδόπουλος',
] as const

// Small enough to be stored within a statement's time limit on a busy machine.
const batchSize = 250
const avatarsMax = 100
/** One of this many users is blocked. */
const blockedEvery = 20
/** One of this many users comes from another system. */
const externalEvery = 3
const departments = ['Engines', 'Compilers', 'Networks', 'Type design', 'Observatory'] as const
const locales = ['en-GB', 'ru-RU', 'pl-PL', 'ja-JP', 'pt-BR', 'el-GR', 'hr-HR'] as const

type Sample = {
  id: string
  username: string
  name: string
  status: 'ACTIVE' | 'BLOCKED'
  avatar: string | null
  contacts: Contact[]
  externalId: string | null
  attributes: Attributes
}

type Contact = { id: string; contact_type: ContactType; value: string }

/** Makes the usernames of a run unique. */
export function sampleSuffix(): string {
  return `-${randomBytes(3).toString('hex')}`
}

/**
 * Adds `count` users; the first hundred have avatars.
 * @param options.suffix is appended to each username
 * @param options.onProgress is called with the number of users stored so far
 */
export async function seedSamples(
  ctx: ServiceContext,
  count: number,
  { suffix, onProgress = () => {} }: { suffix: string; onProgress?: (stored: number) => void },
): Promise<void> {
  const passwordHash = await hashPassword('samples', samplePassword)
  for (let from = 0; from < count; from += batchSize) {
    const samples: Sample[] = []
    for (let at = from; at < Math.min(from + batchSize, count); at++) samples.push(makeSample(at, suffix))
    for (const [at, sample] of samples.slice(0, Math.max(0, avatarsMax - from)).entries()) {
      const image = await toAvatar(await drawAvatar(at), 'samples')
      sample.avatar = avatarKey(sample.id, image.sha256)
      await ctx.avatars.put(sample.avatar, image.bytes)
    }
    await store(ctx, samples, passwordHash)
    onProgress(from + samples.length)
  }
}

function makeSample(at: number, suffix: string): Sample {
  const given = givenNames[at % givenNames.length] ?? ''
  const family = familyNames[(at * 7 + Math.floor(at / givenNames.length)) % familyNames.length] ?? ''
  const username = `${given}.${family}${at < givenNames.length ? '' : `.${at}`}${suffix}`.toLowerCase()
  return {
    id: uuidv7(),
    username,
    name: `${given} ${family}`,
    status: at % blockedEvery === blockedEvery - 1 ? 'BLOCKED' : 'ACTIVE',
    avatar: null,
    contacts: makeContacts(at, username),
    externalId: at % externalEvery === 0 ? `staff|${at}${suffix}` : null,
    // A third of the users have none, and one value is common to all others.
    attributes:
      at % 3 === 2
        ? {}
        : {
            department: departments[at % departments.length] ?? '',
            locale: locales[at % locales.length] ?? '',
            floor: at % 12,
            employed: true,
          },
  }
}

/** Makes up to three contacts: a telephone number, a desk, and an e-mail address or another number. */
function makeContacts(at: number, username: string): Contact[] {
  const phone = `+44 20 7946 ${String(at % 10_000).padStart(4, '0')}`
  const contacts: Contact[] = [
    { id: uuidv7(), contact_type: 'PHONE', value: phone },
    { id: uuidv7(), contact_type: 'WORK', value: `desk ${at}, floor ${at % 12}` },
    at % 8 === 3
      ? { id: uuidv7(), contact_type: 'WHATSAPP', value: phone }
      : { id: uuidv7(), contact_type: 'EMAIL', value: `${username}@example.com` },
  ]
  return contacts.slice(0, at % 4)
}

/** Draws a square in two colours that depend on the index. */
async function drawAvatar(at: number): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp')
  const side = 96
  const pixels = Buffer.alloc(side * side * 3)
  const [from, to] = [(at * 47) % 256, (at * 91 + 128) % 256]
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const mix = (x + y) / (2 * side)
      const inside = (x - side / 2) ** 2 + (y - side / 2) ** 2 < (side / 3) ** 2
      pixels.set(
        [from + (to - from) * mix, 255 - from * mix, inside ? to : 255 - to * mix],
        (y * side + x) * 3,
      )
    }
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer()
}

async function store(ctx: ServiceContext, samples: Sample[], passwordHash: string): Promise<void> {
  const column = <T>(of: (sample: Sample) => T) => sql.param(samples.map(of))
  const derived = samples.map(derivedColumns)
  const contacts = samples.flatMap(({ id, contacts }) =>
    contacts.map((contact, position) => ({ userId: id, position, ...contact })),
  )
  const contactColumn = <T>(of: (contact: (typeof contacts)[number]) => T) => sql.param(contacts.map(of))
  await ctx.db.transaction(async (queries) => {
    await queries.execute(sql`
      INSERT INTO users (id, username, username_folded, name, name_folded, password_hash, status, avatar, version, created_at, updated_at, search_text, external_id, attributes)
      SELECT s.id, s.username, s.username_folded, s.name, s.name_folded, ${passwordHash}, s.status, s.avatar, 1, now(), now(), s.search_text, s.external_id, s.attributes
      FROM unnest(
        ${column(({ id }) => id)}::uuid[], ${column(({ username }) => username)}::text[],
        ${sql.param(derived.map(({ usernameFolded }) => usernameFolded))}::text[], ${column(({ name }) => name)}::text[],
        ${sql.param(derived.map(({ nameFolded }) => nameFolded))}::text[], ${column(({ status }) => status)}::text[],
        ${column(({ avatar }) => avatar)}::text[],
        ${sql.param(derived.map(({ searchText }) => searchText))}::text[],
        ${column(({ externalId }) => externalId)}::text[],
        ${column(({ attributes }) => JSON.stringify(attributes))}::jsonb[]
      ) AS s(id, username, username_folded, name, name_folded, status, avatar, search_text, external_id, attributes)`)
    await queries.execute(sql`
      INSERT INTO contacts (id, user_id, position, contact_type, value)
      SELECT * FROM unnest(
        ${contactColumn(({ id }) => id)}::uuid[], ${contactColumn(({ userId }) => userId)}::uuid[],
        ${contactColumn(({ position }) => position)}::smallint[], ${contactColumn(({ contact_type }) => contact_type)}::text[],
        ${contactColumn(({ value }) => value)}::text[]
      )`)
  })
}
