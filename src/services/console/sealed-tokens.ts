// Encrypts the tokens of a session with AES-256-GCM. HKDF (RFC 5869) derives the key from the browser's cookie, so a copy of
// the database gives no tokens.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

export type SessionTokens = {
  accessToken: string
  refreshToken: string | undefined
  /** When the access token expires, in epoch milliseconds. */
  expiresAtMs: number
}

export type SessionKeys = {
  /** The session's id in the database: SHA-256 of the cookie's value. */
  id: Buffer
  encryption: Buffer
}

const ivLength = 12
const tagLength = 16

/** @returns a cookie's value: 256 random bits in base64url */
export function newCookieValue(): string {
  return randomBytes(32).toString('base64url')
}

/** @returns undefined for anything but a value of `newCookieValue` */
export function sessionId(cookieValue: string): Buffer | undefined {
  if (!/^[\w-]{43}$/.test(cookieValue)) return undefined
  return createHash('sha256').update(cookieValue).digest()
}

/** @returns undefined for anything but a value of `newCookieValue` */
export function keysOf(cookieValue: string): SessionKeys | undefined {
  const id = sessionId(cookieValue)
  const encryption = hkdfSync('sha256', cookieValue, '', 'user-directory console tokens', 32)
  return id && { id, encryption: Buffer.from(encryption) }
}

export function seal(tokens: SessionTokens, { id, encryption }: SessionKeys): Buffer {
  const iv = randomBytes(ivLength)
  const cipher = createCipheriv('aes-256-gcm', encryption, iv, { authTagLength: tagLength }).setAAD(id)
  const text = Buffer.concat([cipher.update(JSON.stringify(tokens), 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), text])
}

/** @throws Error if the row was changed, or belongs to another session */
export function unseal(sealed: Buffer, { id, encryption }: SessionKeys): SessionTokens {
  const iv = sealed.subarray(0, ivLength)
  const decipher = createDecipheriv('aes-256-gcm', encryption, iv, { authTagLength: tagLength })
  decipher.setAAD(id).setAuthTag(sealed.subarray(ivLength, ivLength + tagLength))
  const text = Buffer.concat([decipher.update(sealed.subarray(ivLength + tagLength)), decipher.final()])
  return JSON.parse(text.toString()) as SessionTokens
}
