// Parses password hashes, and bounds their cost, so that an imported hash cannot exhaust this service. The comments
// name the parameters of common systems that are within the bounds.

type Salted = { salt: Buffer; digest: Buffer }
export type PasswordHash =
  | { kind: 'argon2'; isCurrent: boolean }
  /** `canonical` has no padding bits in its last characters, because verifiers compare hashes without them. */
  | { kind: 'bcrypt'; canonical: string }
  | ({ kind: 'scrypt'; cost: number; blockSize: number; parallelization: number } & Salted)
  /** `salt` ends with the project's salt separator. */
  | ({ kind: 'firebase-scrypt'; cost: number; blockSize: number; signerKey: Buffer } & Salted)
  | ({ kind: 'pbkdf2'; algorithm: keyof typeof pbkdf2; iterations: number } & Salted)

/** The minimum of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane. */
export const argon2Parameters = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const current = `$argon2id$v=19$m=${argon2Parameters.memoryCost},t=${argon2Parameters.timeCost},p=${argon2Parameters.parallelism}$`

// RFC 9106's second choice (64 MiB, three passes, four lanes), and the defaults of argon2-cffi and Keycloak.
const argon2 = { memoryKibMax: 131_072, passesMax: 20, memoryTimesPassesMax: 393_216, lanesMax: 16 }
// Each step doubles the time; 13 takes most of a second. Auth0 uses 10, Rails and Laravel 12.
const bcryptCost = { min: 4, max: 13 }
// OWASP's N = 2^17, r = 8, p = 1 takes 128 MiB; passlib uses 2^16, Firebase 2^14.
const scrypt = { workMax: 2 ** 20, costLogMax: 17, blockSizeMax: 32, parallelizationMax: 16 }
// Django uses 1,200,000 with SHA-256, Keycloak 210,000 with SHA-512 and
// 1,300,000 with SHA-1.
const pbkdf2 = {
  sha1: { iterationsMax: 2_000_000, blockBytes: 20 },
  sha256: { iterationsMax: 2_000_000, blockBytes: 32 },
  sha512: { iterationsMax: 800_000, blockBytes: 64 },
}

// A digest of a byte or two would accept one password in a few hundred.
const digestBytes = { min: 16, max: 64 }
const saltBytes = { min: 8, max: 64 }
export const hashCharactersMax = 512

const unknownKind =
  'must be an Argon2, scrypt, Firebase scrypt or PBKDF2 (SHA-1, SHA-256, SHA-512) hash as a PHC string, or a bcrypt hash ($2a$, $2b$, $2y$)'

// bcrypt appends a NUL to the password and reads 72 bytes, so it ignores whatever follows in longer passwords.
const bcryptBytesMax = 71

/** Whether verification by this hash compares the whole password. */
export function comparesWhole({ kind }: PasswordHash, password: string): boolean {
  return kind !== 'bcrypt' || Buffer.byteLength(password) <= bcryptBytesMax
}

/** @returns the hash; a message about the fault if the text is not an accepted hash */
export function parsePasswordHash(text: string): PasswordHash | string {
  if (text.length > hashCharactersMax) return `must be at most ${hashCharactersMax} characters`
  const [start, kind = '', ...parts] = text.split('$')
  if (start !== '') return unknownKind
  if (/^argon2(id|i|d)$/.test(kind)) return parseArgon2(text, parts)
  if (/^2[aby]$/.test(kind)) return parseBcrypt(kind, parts)
  if (kind === 'scrypt') return parseScrypt(parts)
  if (kind === 'firebase-scrypt') return parseFirebaseScrypt(parts)
  if (kind === 'pbkdf2-sha1') return parsePbkdf2('sha1', parts)
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
    rangeFault('m', memoryKib, { min: 8 * Math.max(1, lanesCount), max: argon2.memoryKibMax }) ??
    rangeFault('t', passesCount, { min: 1, max: argon2.passesMax }) ??
    rangeFault('p', lanesCount, { min: 1, max: argon2.lanesMax }) ??
    rangeFault('m times t', memoryKib * passesCount, { min: 1, max: argon2.memoryTimesPassesMax }) ??
    saltedFault(salt, digest, { allowsDot: false }) ?? {
      kind: 'argon2',
      isCurrent: text.startsWith(current),
    }
  )
}

function parseBcrypt(kind: string, [cost, rest, ...more]: string[]): PasswordHash | string {
  if (cost === undefined || rest === undefined || more.length > 0 || !/^\d\d$/.test(cost))
    return 'must be $2b$<cost, two digits>$<22 characters of salt and 31 of digest>'
  return (
    rangeFault('the bcrypt cost', Number(cost), bcryptCost) ??
    (/^[./A-Za-z0-9]{53}$/.test(rest)
      ? { kind: 'bcrypt', canonical: `$${kind}$${cost}$${withoutPaddingBits(rest)}` }
      : 'must have 22 characters of salt and 31 of digest, in bcrypt’s alphabet')
  )
}

const bcryptAlphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * A salt of 16 bytes in 22 base64 characters leaves four padding bits, and a digest of 23 bytes in 31 leaves two. Some
 * systems, such as old passlib, set them; verifiers ignore them.
 */
function withoutPaddingBits(text: string): string {
  const clear = (character: string, bits: number): string =>
    bcryptAlphabet.charAt((bcryptAlphabet.indexOf(character) >> bits) << bits)
  return `${text.slice(0, 21)}${clear(text.charAt(21), 4)}${text.slice(22, 52)}${clear(text.charAt(52), 2)}`
}

function parseScrypt([parameters = '', salt, digest, ...more]: string[]): PasswordHash | string {
  const [, ln, r, p] = /^ln=(\d{1,10}),r=(\d{1,10}),p=(\d{1,10})$/.exec(parameters) ?? []
  if (p === undefined || more.length > 0)
    return 'must be $scrypt$ln=<log2 of N>,r=<block size>,p=<parallelization>$<salt>$<digest>'
  const [costLog, blockSize, parallelization] = [Number(ln), Number(r), Number(p)]
  return (
    scryptFault(costLog, blockSize, parallelization) ??
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

function scryptFault(costLog: number, blockSize: number, parallelization: number): string | undefined {
  return (
    rangeFault('r', blockSize, { min: 1, max: scrypt.blockSizeMax }) ??
    // RFC 7914, section 2: N is less than 2^(128 * r / 8).
    rangeFault('ln', costLog, { min: 1, max: Math.min(scrypt.costLogMax, 16 * blockSize - 1) }) ??
    rangeFault('p', parallelization, { min: 1, max: scrypt.parallelizationMax }) ??
    rangeFault('N times r times p', 2 ** costLog * blockSize * parallelization, {
      min: 1,
      max: scrypt.workMax,
    })
  )
}

/** The digest is the project's signer key, encrypted with a key that scrypt derives from the password. */
function parseFirebaseScrypt([parameters = '', salt, digest, ...more]: string[]): PasswordHash | string {
  const [, ln, r, separator, signerKey] =
    /^ln=(\d{1,10}),r=(\d{1,10}),p=1,s=([^,]*),k=([^,]+)$/.exec(parameters) ?? []
  if (signerKey === undefined || more.length > 0)
    return 'must be $firebase-scrypt$ln=<mem_cost>,r=<rounds>,p=1,s=<salt separator>,k=<signer key>$<salt>$<digest>'
  const [costLog, blockSize] = [Number(ln), Number(r)]
  const fault =
    scryptFault(costLog, blockSize, 1) ??
    base64Fault('salt separator', separator, { min: 0, max: saltBytes.max, allowsDot: false }) ??
    base64Fault('signer key', signerKey, { ...digestBytes, allowsDot: false }) ??
    saltedFault(salt, digest, { allowsDot: false })
  if (fault !== undefined) return fault
  const hash = { signerKey: bytes(signerKey), digest: bytes(digest) }
  return hash.digest.length === hash.signerKey.length
    ? {
        kind: 'firebase-scrypt',
        cost: 2 ** costLog,
        blockSize,
        salt: Buffer.concat([bytes(salt), bytes(separator)]),
        ...hash,
      }
    : 'must have a digest as long as its signer key'
}

function parsePbkdf2(
  algorithm: keyof typeof pbkdf2,
  [parameters = '', salt, digest, ...more]: string[],
): PasswordHash | string {
  // passlib writes only the number.
  const [, count, length] = /^(?:i=)?(\d{1,10})(?:,l=(\d{1,3}))?$/.exec(parameters) ?? []
  if (count === undefined || more.length > 0)
    return `must be $pbkdf2-${algorithm}$i=<iterations>$<salt>$<digest>`
  const iterations = Number(count)
  const { iterationsMax, blockBytes } = pbkdf2[algorithm]
  const fault = rangeFault('i', iterations, { min: 1, max: iterationsMax }) ?? saltedFault(salt, digest)
  if (fault !== undefined) return fault
  const whole = bytes(digest)
  if (length !== undefined && Number(length) !== whole.length) return 'must have a digest of l bytes'
  // Each block takes all iterations again, and the first one alone identifies the password.
  return { kind: 'pbkdf2', algorithm, iterations, salt: bytes(salt), digest: whole.subarray(0, blockBytes) }
}

type Range = { min: number; max: number }

function rangeFault(name: string, value: number, { min, max }: Range): string | undefined {
  return value >= min && value <= max ? undefined : `must have ${name} from ${min} to ${max}`
}

/** @param options.allowsDot passlib writes a dot instead of the plus; Argon2's own form has no dots */
function saltedFault(
  salt: string | undefined,
  digest: string | undefined,
  { allowsDot }: { allowsDot: boolean } = { allowsDot: true },
): string | undefined {
  return (
    base64Fault('salt', salt, { ...saltBytes, allowsDot }) ??
    base64Fault('digest', digest, { ...digestBytes, allowsDot })
  )
}

function base64Fault(
  name: string,
  text = '',
  { min, max, allowsDot }: Range & { allowsDot: boolean },
): string | undefined {
  const decoded = bytes(text)
  if (
    (!allowsDot && text.includes('.')) ||
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
