// Reads what the nodes of a cluster report about themselves and each other.
import { listOf, textOf } from '../cache/redis-replies.ts'
import { RedisError, type Reply } from './protocol.ts'
import type { Slots } from './slots.ts'

/** @property address host and port, with brackets around an IPv6 host */
export type SlotRange = { from: number; to: number; address: string }

/**
 * Reads CLUSTER SLOTS.
 * @param host of the node that replied, which it may leave out
 */
export function slotRangesOf(reply: Reply, host: string): SlotRange[] {
  return listOf(reply).map((range) => {
    const [from, to, primary] = listOf(range)
    const [preferred, port] = listOf(primary)
    if (typeof from !== 'number' || typeof to !== 'number' || typeof port !== 'number')
      throw new Error('CLUSTER SLOTS has an unknown form')
    const name = preferred === null ? '' : textOf(preferred)
    return { from, to, address: `${bracketed(name === '' || name === '?' ? host : name)}:${port}` }
  })
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

/**
 * Reads the node's own line of CLUSTER NODES: id, address, flags, primary, ping, pong, epoch, link, slots.
 * @returns undefined for a replica. A slot that is being moved away is left out
 */
export function ownSlotsOf(nodes: string): { epoch: number; slots: Slots } | undefined {
  for (const line of nodes.split('\n')) {
    const [, , flags = '', , , , epoch, , ...ranges] = line.trim().split(' ')
    const roles = flags.split(',')
    if (!roles.includes('myself')) continue
    if (!roles.includes('master')) return undefined
    // Such as `[93->-<id of the target>]`, besides the range that has the slot.
    const moving = new Set(ranges.flatMap((range) => /^\[(\d+)->-/.exec(range)?.[1] ?? []).map(Number))
    const slots = ranges
      .filter((range) => !range.startsWith('['))
      .flatMap((range) => {
        const [from = 0, to = from] = range.split('-').map(Number)
        return without([from, to], moving)
      })
    return { epoch: Number(epoch), slots }
  }
  throw new Error('CLUSTER NODES does not list the node itself')
}

function without([from, to]: Slots[number], removed: Set<number>): Slots {
  const slots: Slots = []
  let start = from
  for (const slot of [...removed].filter((slot) => slot >= from && slot <= to).sort((a, b) => a - b)) {
    if (slot > start) slots.push([start, slot - 1])
    start = slot + 1
  }
  if (start <= to) slots.push([start, to])
  return slots
}

export type Redirection = { kind: 'MOVED' | 'ASK'; address: string }

/**
 * Reads the error of a node that does not hold the key.
 * @param host of the node that replied, which it may leave out
 * @returns undefined for another error
 */
export function redirectionOf(error: unknown, host: string): Redirection | undefined {
  if (!(error instanceof RedisError) || (error.code !== 'MOVED' && error.code !== 'ASK')) return undefined
  const [, , target = ''] = error.message.split(' ')
  const portAt = target.lastIndexOf(':')
  const name = target.slice(0, portAt)
  const address = `${bracketed(name === '' || name === '?' ? host : name)}${target.slice(portAt)}`
  return { kind: error.code, address }
}

/** The same URL for another node. */
export function urlOfNode(url: string, address: string): string {
  const node = new URL(url)
  node.host = address
  return node.href
}
