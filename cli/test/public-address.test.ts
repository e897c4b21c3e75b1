import { expect, test } from 'vitest'
import { isPublicAddress } from '../src/avatars/public-address.ts'

test.each([
  ['private', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fc00::1', 'fd12::1'],
  ['loopback and this host', '127.0.0.1', '127.255.255.254', '0.0.0.0', '::1', '::'],
  ['link-local', '169.254.169.254', 'fe80::1', 'febf::1'],
  ['multicast and broadcast', '224.0.0.1', '239.255.255.255', 'ff02::1', '255.255.255.255', '240.0.0.1'],
  ['mapped', '::ffff:127.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1', '::127.0.0.1'],
  ['NAT64', '64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1'],
  ['6to4, Teredo and documentation', '2002:7f00:1::', '2001:0:1::1', '2001:db8::1', '192.0.2.1', '3fff::1'],
  ['malformed', '', 'localhost', '127.1', '0x7f000001', '8.8.8.8 ', 'fe80::1%lo', '[2606:4700::1]'],
])('%s addresses are not public', (_kind, ...addresses) => {
  expect(addresses.filter(isPublicAddress)).toEqual([])
})

test('addresses of the internet are public', () => {
  const addresses = ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1']
  expect(addresses.filter(isPublicAddress)).toEqual(addresses)
})
