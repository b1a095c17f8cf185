import { describe, expect, it } from 'vitest'
import readme from '../../../README.md?raw'
import { fill, listeningOn, listeningPorts, vendors } from './vendors'

it('reads ports out of listening addresses', () => {
  expect(listeningPorts(['udp://0.0.0.0:2055', 'udp://[::]:4739', 'tcp://[::]:4740', 'nonsense'])).toEqual([2055, 4739])
})

describe.each(vendors)('$name', (vendor) => {
  it('names the collector and an open port', () => {
    const text = fill(vendor, 'collector.example', [9995])
    expect(text).toContain('collector.example')
    expect(text).toMatch(/\b9995\b/)
    expect(text).not.toMatch(/COLLECTOR|PORT/)
  })
  it('is what the README says', () => expect(readme).toContain(fill(vendor, '198.51.100.9', [2055, 4739, 6343])))
  it('prefers the usual port', () => expect(fill(vendor, 'c', [1, vendor.port])).toMatch(new RegExp(`\\b${vendor.port}\\b`)))
})

it('names listening addresses by their port where they are everywhere', () => {
  expect(listeningOn(['udp://0.0.0.0:2055', 'udp://[::]:4739', 'udp://127.0.0.1:6343', 'tcp://[::]:4739'])).toBe('UDP 2055, UDP 4739, udp://127.0.0.1:6343, TCP 4739')
})
