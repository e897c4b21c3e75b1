// Writes the file of an import.
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { samples } from './bare-copy.ts'

/** @param round makes the usernames unique among files */
export async function writeUsers(file: string, users: number, round: string): Promise<void> {
  const lines = function* () {
    for (const user of samples(users, round)) yield `${JSON.stringify(user)}\n`
  }
  await pipeline(Readable.from(lines()), createWriteStream(file))
}
