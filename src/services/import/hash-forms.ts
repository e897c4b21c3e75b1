// Writes password hashes of other systems in the textual forms that the API takes.

/** `unsupported` completes "The hash is …". It must never hold a part of the hash. */
export type SourcePassword = { hash: string } | { plain: string } | { unsupported: string }

type Salted = { salt: unknown; digest: unknown }

/** @returns the PHC form. Salt and digest are base64. */
export function pbkdf2Hash(
  algorithm: 'sha1' | 'sha256' | 'sha512',
  { iterations, ...salted }: Salted & { iterations: unknown },
): SourcePassword {
  const [salt, digest] = phcParts(salted)
  if (salt === undefined || digest === undefined || !isCount(iterations)) return damaged
  const length = Buffer.from(digest, 'base64').length
  return { hash: `$pbkdf2-${algorithm}$i=${Number(iterations)},l=${length}$${salt}$${digest}` }
}

/** @returns the PHC form. Salt and digest are base64. */
export function argon2Hash(
  type: 'd' | 'i' | 'id',
  {
    version,
    memory,
    passes,
    lanes,
    ...salted
  }: Salted & { version: 16 | 19; memory: unknown; passes: unknown; lanes: unknown },
): SourcePassword {
  const [salt, digest] = phcParts(salted)
  if (salt === undefined || digest === undefined) return damaged
  if (!isCount(memory) || !isCount(passes) || !isCount(lanes)) return damaged
  const parameters = `m=${Number(memory)},t=${Number(passes)},p=${Number(lanes)}`
  return { hash: `$argon2${type}$v=${version}$${parameters}$${salt}$${digest}` }
}

/** Firebase's modified scrypt (github.com/firebase/scrypt). All values but the numbers are base64. */
export function firebaseHash({
  memCost,
  rounds,
  separator,
  signerKey,
  ...salted
}: Salted & { memCost: unknown; rounds: unknown; separator: unknown; signerKey: unknown }): SourcePassword {
  const [salt, digest] = phcParts(salted)
  const [s, k] = [phcBase64(separator), phcBase64(signerKey)]
  if (salt === undefined || digest === undefined || s === undefined || k === undefined) return damaged
  if (!isCount(memCost) || !isCount(rounds)) return damaged
  return {
    hash: `$firebase-scrypt$ln=${Number(memCost)},r=${Number(rounds)},p=1,s=${s},k=${k}$${salt}$${digest}`,
  }
}

const damaged: SourcePassword = { unsupported: 'damaged' }

function phcParts({ salt, digest }: Salted): [salt: string | undefined, digest: string | undefined] {
  return [phcBase64(salt), phcBase64(digest)]
}

const charactersMax = 512

/** Base64 of either alphabet, with or without padding, as PHC strings write it. */
function phcBase64(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > charactersMax) return undefined
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) return undefined
  return Buffer.from(text, 'base64').toString('base64').replace(/=+$/, '')
}

function isCount(value: unknown): boolean {
  return /^[1-9]\d{0,8}$/.test(String(value))
}
