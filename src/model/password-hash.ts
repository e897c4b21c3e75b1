// The forms in which a password's hash is kept, and how costly one may be to check: a hash that comes from
// another system must not be able to occupy this one. The comments say what the bounds leave room for.

type Salted = { salt: Buffer; digest: Buffer }
export type PasswordHash =
  | { kind: 'argon2'; isCurrent: boolean }
  /** `canonical`: the hash without the bits that its last characters have to spare, as verifiers compare it. */
  | { kind: 'bcrypt'; canonical: string }
  | ({ kind: 'scrypt'; cost: number; blockSize: number; parallelization: number } & Salted)
  | ({ kind: 'pbkdf2'; algorithm: 'sha256' | 'sha512'; iterations: number } & Salted)

/** OWASP's floor (Password Storage Cheat Sheet): 19 MiB, two passes, one lane. */
export const argon2Parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const current = `$argon2id$v=19$m=${argon2Parameters.memoryCost},t=${argon2Parameters.timeCost},p=${argon2Parameters.parallelism}$`

// RFC 9106's second choice (64 MiB, three passes, four lanes), argon2-cffi's and Keycloak's defaults.
const argon2 = { memoryKibMax: 131_072, passesMax: 20, memoryTimesPassesMax: 393_216, lanesMax: 16 }
// Each step doubles: 13 takes most of a second. Auth0 writes 10, Rails and Laravel 12.
const bcryptCost = { min: 4, max: 13 }
// OWASP's N = 2^17, r = 8, p = 1 takes 128 MiB; passlib writes 2^16.
const scrypt = { workMax: 2 ** 20, costLogMax: 17, blockSizeMax: 32, parallelizationMax: 16 }
// Iterations for one block of the digest, of which SHA-512's cost more; Django writes 1,200,000 of one with SHA-256,
// Keycloak 210,000 of one with SHA-512.
const pbkdf2IterationsMax = { sha256: 2_000_000, sha512: 800_000 }

// A digest of a byte or two would let in one try in a few hundred.
const digestBytes = { min: 16, max: 64 }
const saltBytes = { min: 8, max: 64 }
export const hashCharactersMax = 512

const unknownKind =
  'must be an Argon2, scrypt, PBKDF2-SHA256 or PBKDF2-SHA512 hash as a PHC string, or a bcrypt hash ($2a$, $2b$, $2y$)'

// bcrypt ends the password with a NUL and reads 72 bytes of that, so it tells where a password ends below that only.
const bcryptBytesMax = 71

/** Whether a check by this hash has compared all of the password, so that no other one would pass for it. */
export function readsWhole({ kind }: PasswordHash, password: string): boolean {
  return kind !== 'bcrypt' || Buffer.byteLength(password) <= bcryptBytesMax
}

/** @returns what is wrong with it, as text, when it is none that is taken */
export function parsePasswordHash(text: string): PasswordHash | string {
  if (text.length > hashCharactersMax) return `must be at most ${hashCharactersMax} characters`
  const [start, kind = '', ...parts] = text.split('$')
  if (start !== '') return unknownKind
  if (/^argon2(id|i|d)$/.test(kind)) return parseArgon2(text, parts)
  if (/^2[aby]$/.test(kind)) return parseBcrypt(kind, parts)
  if (kind === 'scrypt') return parseScrypt(parts)
  if (kind === 'pbkdf2-sha256') return parsePbkdf2('sha256', parts)
  if (kind === 'pbkdf2-sha512') return parsePbkdf2('sha512', parts)
  return unknownKind
}

function parseArgon2(text: string, parts: string[]): PasswordHash | string {
  const [version, parameters = '', salt, digest, ...rest] = parts
  if (version !== 'v=19' && version !== 'v=16') return 'must name its Argon2 version, v=19 or v=16'
  const [, memory, passes, lanes] =
    /^m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=(0|[1-9]\d{0,9})$/.exec(parameters) ?? []
  if (lanes === undefined || rest.length > 0)
    return 'must be $argon2…$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<digest>'
  const [memoryKib, passesCount, lanesCount] = [Number(memory), Number(passes), Number(lanes)]
  return (
    outside('m', memoryKib, 8 * Math.max(1, lanesCount), argon2.memoryKibMax) ??
    outside('t', passesCount, 1, argon2.passesMax) ??
    outside('p', lanesCount, 1, argon2.lanesMax) ??
    outside('m times t', memoryKib * passesCount, 1, argon2.memoryTimesPassesMax) ??
    saltedFault(salt, digest, { takesDot: false }) ?? {
      kind: 'argon2',
      isCurrent: text.startsWith(current),
    }
  )
}

function parseBcrypt(kind: string, [cost, rest, ...more]: string[]): PasswordHash | string {
  if (cost === undefined || rest === undefined || more.length > 0 || !/^\d\d$/.test(cost))
    return 'must be $2b$<cost, two digits>$<22 characters of salt and 31 of digest>'
  return (
    outside('the bcrypt cost', Number(cost), bcryptCost.min, bcryptCost.max) ??
    (/^[./A-Za-z0-9]{53}$/.test(rest)
      ? { kind: 'bcrypt', canonical: `$${kind}$${cost}$${withoutSpareBits(rest)}` }
      : 'must have 22 characters of salt and 31 of digest, in bcrypt’s alphabet')
  )
}

const bcryptAlphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * 22 characters of six bits have four to spare for a salt of 16 bytes, and 31 have two for a digest of 23. Some
 * writers leave them set (old passlib, for one); no reader takes them for part of the value.
 */
function withoutSpareBits(text: string): string {
  const clear = (character: string, spare: number): string =>
    bcryptAlphabet.charAt((bcryptAlphabet.indexOf(character) >> spare) << spare)
  return `${text.slice(0, 21)}${clear(text.charAt(21), 4)}${text.slice(22, 52)}${clear(text.charAt(52), 2)}`
}

function parseScrypt([parameters = '', salt, digest, ...more]: string[]): PasswordHash | string {
  const [, ln, r, p] = /^ln=(\d{1,10}),r=(\d{1,10}),p=(\d{1,10})$/.exec(parameters) ?? []
  if (p === undefined || more.length > 0)
    return 'must be $scrypt$ln=<log2 of N>,r=<block size>,p=<parallelization>$<salt>$<digest>'
  const [costLog, blockSize, parallelization] = [Number(ln), Number(r), Number(p)]
  return (
    outside('r', blockSize, 1, scrypt.blockSizeMax) ??
    // RFC 7914, section 2: N is less than 2^(128 * r / 8).
    outside('ln', costLog, 1, Math.min(scrypt.costLogMax, 16 * blockSize - 1)) ??
    outside('p', parallelization, 1, scrypt.parallelizationMax) ??
    outside('N times r times p', 2 ** costLog * blockSize * parallelization, 1, scrypt.workMax) ??
    saltedFault(salt, digest) ?? {
      kind: 'scrypt',
      cost: 2 ** costLog,
      blockSize,
      parallelization,
      salt: bytes(salt),
      digest: bytes(digest),
    }
  )
}

function parsePbkdf2(
  algorithm: 'sha256' | 'sha512',
  [parameters = '', salt, digest, ...more]: string[],
): PasswordHash | string {
  // The number alone is passlib's form.
  const [, count, length] = /^(?:i=)?(\d{1,10})(?:,l=(\d{1,3}))?$/.exec(parameters) ?? []
  if (count === undefined || more.length > 0)
    return `must be $pbkdf2-${algorithm}$i=<iterations>$<salt>$<digest>`
  const iterations = Number(count)
  const iterationsMax = pbkdf2IterationsMax[algorithm]
  const fault = outside('i', iterations, 1, iterationsMax) ?? saltedFault(salt, digest)
  if (fault !== undefined) return fault
  const hash = { algorithm, iterations, salt: bytes(salt), digest: bytes(digest) }
  const blocks = Math.ceil(hash.digest.length / (algorithm === 'sha256' ? 32 : 64))
  return (
    outside('i times the blocks of the digest', iterations * blocks, 1, iterationsMax) ??
    (length !== undefined && Number(length) !== hash.digest.length
      ? 'must have a digest of l bytes'
      : { kind: 'pbkdf2', ...hash })
  )
}

function outside(name: string, value: number, min: number, max: number): string | undefined {
  return value >= min && value <= max ? undefined : `must have ${name} from ${min} to ${max}`
}

/** @param options.takesDot passlib writes a dot for the plus; in Argon2's own form there is none */
function saltedFault(
  salt: string | undefined,
  digest: string | undefined,
  { takesDot }: { takesDot: boolean } = { takesDot: true },
): string | undefined {
  return (
    base64Fault('salt', salt, saltBytes, takesDot) ?? base64Fault('digest', digest, digestBytes, takesDot)
  )
}

function base64Fault(
  name: string,
  text = '',
  { min, max }: { min: number; max: number },
  takesDot: boolean,
): string | undefined {
  const decoded = bytes(text)
  if (
    (!takesDot && text.includes('.')) ||
    decoded.toString('base64').replace(/=+$/, '') !== text.replaceAll('.', '+')
  )
    return `must have its ${name} in base64 without padding`
  return decoded.length >= min && decoded.length <= max
    ? undefined
    : `must have a ${name} of ${min} to ${max} bytes`
}

function bytes(text = ''): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64')
}
