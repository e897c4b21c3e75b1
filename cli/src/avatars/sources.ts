// Finds pictures and the users whom they belong to: in a folder, or in a list of addresses.
import { createReadStream } from 'node:fs'
import { opendir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandError } from '../exit-codes.ts'
import { PictureError, pictureBytesMax, tooLarge } from './fetch-picture.ts'

/** @param place the file or the line, for messages */
export type Picture = { place: string } & (
  | { fault: string; key?: never }
  | {
      fault?: never
      /** The user's username or external id. */
      key: string
      /** @throws PictureError */
      read(): Promise<Uint8Array<ArrayBuffer>>
    }
)

const pictureName = /^(.+)\.(?:png|jpe?g|webp|gif|avif)$/i

/** Finds the pictures of a folder. Each is named after its user; signs may be percent-encoded. */
export async function* inFolder(folder: string): AsyncGenerator<Picture> {
  for await (const entry of await opendir(folder)) {
    const { name } = entry
    // Such as .DS_Store.
    if (name.startsWith('.')) continue
    const base = pictureName.exec(name)?.[1]
    if (!entry.isFile()) yield { place: name, fault: 'must be a file, and no folder or link' }
    else if (base === undefined)
      yield { place: name, fault: 'must be named .png, .jpg, .webp, .gif or .avif' }
    else yield { place: name, key: decoded(base), read: () => readPicture(join(folder, name)) }
  }
}

async function readPicture(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if ((await stat(path)).size > pictureBytesMax) throw new PictureError(tooLarge)
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if (error instanceof PictureError) throw error
    throw new PictureError(`cannot be read: ${error instanceof Error ? error.message : error}`)
  }
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    // A username may hold a percent sign.
    return name
  }
}

/**
 * Reads lines of a user's key, a tab and the address of the picture.
 * @param fetch throws PictureError
 */
export async function* inList(
  file: string,
  fetch: (address: string) => Promise<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<Picture> {
  let number = 0
  for await (const line of linesOf(file)) {
    const place = `line ${++number}`
    const [key = '', address, ...others] = line.split('\t')
    // Users without a picture have an empty address.
    if (line === '' || (address === '' && others.length === 0)) continue
    if (key === '' || address === undefined || others.length > 0)
      yield { place, fault: 'must have a user, a tab and an address' }
    else yield { place, key, read: () => fetch(address) }
  }
}

const lineCharactersMax = 8_192

async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = ''
  for await (const text of createReadStream(file, { encoding: 'utf8' })) {
    const lines = (rest + text).split(/\r?\n/)
    rest = lines.pop() ?? ''
    if (rest.length > lineCharactersMax)
      throw new CommandError('usage', `${file} must have lines of at most ${lineCharactersMax} characters.`)
    yield* lines
  }
  yield rest
}
