// Encrypts a stream in blocks with AES-256-GCM. The construction is STREAM (https://eprint.iacr.org/2015/189), as in age
// and Tink. The nonce counts the blocks and marks the last one, so that no block can be moved or cut off.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

const blockBytes = 64 * 1024
const tagBytes = 16
const sealedBytes = blockBytes + tagBytes

/** A new key, for one file only, because nonces repeat between files. */
export function newFileKey(): Buffer {
  return randomBytes(32)
}

/** Encrypts `bytes`. Needs memory for a few blocks. */
export async function* seal(key: Buffer, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let number = 0
  const encrypt = (block: Uint8Array, isLast: boolean): Buffer => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce(number++, isLast))
    return Buffer.concat([cipher.update(block), cipher.final(), cipher.getAuthTag()])
  }
  // The last block may be full, so a block is only sealed once another byte follows it.
  let last: Uint8Array | undefined
  for await (const block of inBlocks(bytes, blockBytes)) {
    if (last) yield encrypt(last, false)
    last = block
  }
  yield encrypt(last ?? Buffer.alloc(0), true)
}

/** Decrypts what `seal` made. @throws Error if the content was changed, reordered or cut off, or the key is wrong */
export async function* unseal(key: Buffer, sealed: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let number = 0
  const decrypt = (block: Uint8Array, isLast: boolean): Buffer => {
    if (block.length < tagBytes) throw new Error('the sealed file is cut off')
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(number++, isLast))
    decipher.setAuthTag(block.subarray(-tagBytes))
    return Buffer.concat([decipher.update(block.subarray(0, -tagBytes)), decipher.final()])
  }
  let last: Uint8Array | undefined
  for await (const block of inBlocks(sealed, sealedBytes)) {
    if (last) yield decrypt(last, false)
    last = block
  }
  yield decrypt(last ?? Buffer.alloc(0), true)
}

function nonce(number: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUIntBE(number, 5, 6)
  bytes[11] = isLast ? 1 : 0
  return bytes
}

/** Cuts a stream into blocks of `size` bytes; the last one may be shorter. */
async function* inBlocks(bytes: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const part of bytes) {
    let rest = part
    while (length + rest.length >= size) {
      const taken = rest.subarray(0, size - length)
      yield parts.length === 0 ? taken : Buffer.concat([...parts, taken], size)
      parts = []
      length = 0
      rest = rest.subarray(taken.length)
    }
    if (rest.length > 0) {
      parts.push(rest)
      length += rest.length
    }
  }
  if (length > 0) yield Buffer.concat(parts, length)
}
