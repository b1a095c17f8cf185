import { describe, expect, it } from 'vitest'
import { joined, only, term, terms, valuesAfter, without } from './filter'

describe('term', () => {
  it.each([
    [{ src_addr: '192.0.2.1' }, 'src ip 192.0.2.1'],
    [{ src_addr: '2001:db8::1', dst_addr: '192.0.2.1' }, 'src ip 2001:db8::1 and dst ip 192.0.2.1'],
    [{ dst_addr: '192.0.2.2', src_addr: '192.0.2.1' }, 'src ip 192.0.2.1 and dst ip 192.0.2.2'],
    [{ exporter: '192.0.2.9', in_if: 7 }, 'router ip 192.0.2.9 and in if 7'],
    [{ exporter: '192.0.2.9', out_if: 0 }, 'router ip 192.0.2.9 and out if 0'],
    [{ protocol: 6 }, 'proto tcp'],
    [{ protocol: 89 }, 'proto 89'],
    [{ app: '443/tcp https' }, 'proto tcp and port 443'],
    [{ app: '8765/udp' }, 'proto udp and port 8765'],
    [{ app: 'icmp' }, 'proto icmp'],
    [{ src_as: 65000 }, 'src as 65000'],
  ])('%j is %s', (key, text) => expect(term(key)).toBe(text))

  it('says nothing where a value is missing or a dimension has no word', () => {
    expect(term({ exporter: '192.0.2.9', in_if: null })).toBe('')
    expect(term({ weather: 'rain' })).toBe('')
  })
})

describe('only', () => {
  it('begins a filter', () => expect(only('  ', 'proto tcp')).toBe('proto tcp'))
  it('joins one', () => expect(only('port 53', 'proto udp')).toBe('port 53 and proto udp'))
  it('keeps an "or" together', () => expect(only('port 53 or port 853', 'proto udp')).toBe('(port 53 or port 853) and proto udp'))
  it('keeps "||" together', () => expect(only('port 53||port 853', 'proto udp')).toBe('(port 53||port 853) and proto udp'))
  it('leaves an "or" that is in parentheses alone', () =>
    expect(only('proto udp and (port 53 OR port 853)', 'if 7')).toBe('proto udp and (port 53 OR port 853) and if 7'))
  it('is not misled by a quoted or a part of a word', () => {
    expect(only('in if "this or that"', 'if 7')).toBe('in if "this or that" and if 7')
    expect(only('src port 5', 'if 7')).toBe('src port 5 and if 7')
  })
})

describe('without', () => {
  it('negates a word', () => expect(without('', 'proto tcp')).toBe('not proto tcp'))
  it('negates several as a whole', () =>
    expect(without('port 53', 'src ip 192.0.2.1 and dst ip 192.0.2.2')).toBe('port 53 and not (src ip 192.0.2.1 and dst ip 192.0.2.2)'))
  it('keeps an "or" together', () => expect(without('if 1 or if 2', 'proto tcp')).toBe('(if 1 or if 2) and not proto tcp'))
})

describe('terms', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['port 53', ['port 53']],
    ['src net 10.0.0.0/8 and not (port 53 or port 123) and proto udp', ['src net 10.0.0.0/8', 'not (port 53 or port 123)', 'proto udp']],
    ['port 53 or port 80 and proto udp', ['port 53 or port 80 and proto udp']],
    ['network "A and B" && port in [1 2]', ['network "A and B"', 'port in [1 2]']],
  ])('%s', (filter, parts) => expect(terms(filter)).toEqual(parts))

  it('are joined again', () => {
    expect(joined(['port 53', 'a or b'])).toBe('port 53 and (a or b)')
    expect(joined(['a or b'])).toBe('a or b')
  })
})

it.each<[string, string | null]>([
  ['src as ', 'src_as'],
  ['proto udp and dst port ', 'dst_port'],
  ['router ip ', 'exporter'],
  ['in if ', 'in_if'],
  ['country ', 'country'],
  ['dst network ', 'dst_network'],
  ['proto ', 'protocol'],
  ['bytes > ', null],
  ['', null],
])('%s wants values', (before, by) => expect(valuesAfter(before)?.by ?? null).toBe(by))

it('says names that are more than a word in quotes', () => {
  expect(valuesAfter('network')!.say(9, 'Hotaru CDN cache')).toBe('"Hotaru CDN cache"')
  expect(term({ src_customer: 'Aster Foods' })).toBe('src customer "Aster Foods"')
  expect(term({ 'src_addr/24/48': '192.0.2.0/24' })).toBe('src net 192.0.2.0/24')
  expect(term({ packet_size: 64 })).toBe('bpp >= 64 and bpp < 128')
  expect(term({ packet_size: 1024 })).toBe('bpp >= 1024 and bpp < 1501')
  expect(term({ packet_size: 1501 })).toBe('bpp >= 1501')
  expect(term({ duration: 100 })).toBe('duration >= 100 and duration < 1000')
  expect(term({ network: 9 })).toBe('(src_network 9 or dst_network 9)')
  expect(term({ flow_end_reason: 'idle timeout' })).toBe('flow_end_reason "idle timeout"')
  expect(term({ customer: 'the "A" team' })).toBe(`customer 'the "A" team'`)
  expect(term({ exporter: '192.0.2.1', in_if: 7 })).toBe('router ip 192.0.2.1 and in if 7')
  expect(term({ as_path: 'x' })).toBe('')
})

it.each(['IN', 'GE', 'GT', 'LT', 'NE'])('%s is a country, though a word of the language', (code) => {
  expect(term({ country: code })).toBe(`country "${code}"`)
  expect(valuesAfter('src country')!.say(code, '')).toBe(`"${code}"`)
})
