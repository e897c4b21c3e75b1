// Replies of cluster nodes, in the forms of Redis 7 and Valkey 8.
import { describe, expect, it } from 'vitest'
import { ownSlotsOf, redirectionOf, slotRangesOf } from '../../../src/connection/redis/cluster-replies.ts'
import { RedisError } from '../../../src/connection/redis/protocol.ts'

const other = '2'.repeat(40)
const line = (flags: string, slots: string) =>
  `${'1'.repeat(40)} 127.0.0.1:7000@17000,host ${flags} - 0 1426238317239 4 connected ${slots}\n`
const foreign = `${other} 127.0.0.1:7001@17001 master - 0 1426238317239 9 connected 5-9\n`

describe('the own slots of a node', () => {
  it('are its ranges and single slots', () => {
    expect(ownSlotsOf(foreign + line('myself,master', '0-99 200'))).toEqual({
      epoch: 4,
      slots: [
        [0, 99],
        [200, 200],
      ],
    })
  })

  it('are without slots that are being moved away, and without those that are arriving', () => {
    const moving = `[0->-${other}] [50->-${other}] [51->-${other}] [99->-${other}] [300-<-${other}]`
    expect(ownSlotsOf(line('myself,master', `0-99 ${moving}`))?.slots).toEqual([
      [1, 49],
      [52, 98],
    ])
  })

  it('are none of a replica, and of a primary without slots', () => {
    expect(ownSlotsOf(line('myself,slave', ''))).toBeUndefined()
    expect(ownSlotsOf(line('myself,master', ''))).toEqual({ epoch: 4, slots: [] })
  })

  it('are unknown without the node’s own line', () => {
    expect(() => ownSlotsOf(foreign)).toThrow('does not list the node itself')
  })
})

describe('CLUSTER SLOTS', () => {
  const range = (host: string | null, port: unknown = 7000) => [
    0,
    99,
    [host === null ? null : Buffer.from(host), port as number, Buffer.from(other), []],
    [Buffer.from('replica'), 7001, Buffer.from(other), []],
  ]

  it('names the primary of each range, by the asked node’s host if it leaves the host out', () => {
    const addresses = [null, '', '?', 'valkey.example', '::1'].map(
      (host) => slotRangesOf([range(host)], '10.0.0.1')[0]?.address,
    )
    expect(addresses).toEqual([
      '10.0.0.1:7000',
      '10.0.0.1:7000',
      '10.0.0.1:7000',
      'valkey.example:7000',
      '[::1]:7000',
    ])
  })

  it('is rejected in an unknown form', () => {
    expect(() => slotRangesOf([range('a', Buffer.from('7000'))], 'b')).toThrow('unknown form')
    expect(() => slotRangesOf([[0, 1]], 'b')).toThrow('array')
    expect(() => slotRangesOf('OK', 'b')).toThrow('array')
  })
})

describe('a redirection', () => {
  it('names the other node', () => {
    expect(redirectionOf(new RedisError('MOVED 3999 127.0.0.1:6381'), 'a')).toEqual({
      kind: 'MOVED',
      address: '127.0.0.1:6381',
    })
    expect(redirectionOf(new RedisError('ASK 3999 ::1:6381'), 'a')).toEqual({
      kind: 'ASK',
      address: '[::1]:6381',
    })
    expect(redirectionOf(new RedisError('MOVED 3999 :6381'), 'a')?.address).toBe('a:6381')
  })

  it('is none of another error', () => {
    expect(redirectionOf(new RedisError('CLUSTERDOWN The cluster is down'), 'a')).toBeUndefined()
    expect(redirectionOf(new Error('MOVED 3999 127.0.0.1:6381'), 'a')).toBeUndefined()
  })
})
