import { describe, expect, it } from 'vitest'
import { format, formatRange, parse, parseRange, resolve } from './state'

describe('the address', () => {
  it('is empty for the defaults', () => expect(format(parse(''))).toBe(''))

  it.each([
    '?range=7d',
    '?range=24h&filter=src+net+10.0.0.0/8+and+port+%3E+1023',
    '?range=2026-11-23T00:00:00Z..2026-11-23T00:15:00Z&by=app&metric=packets',
    '?talkers=src_addr,dst_addr&raw=1&refresh=0',
    '?filter=in+if+%22%26%3C%E6%B0%B4%E9%9D%A2%22',
  ])('%s survives', (search) => {
    const view = parse(search)
    expect(parse(format(view))).toEqual(view)
    expect(parse(format(view))).not.toEqual(parse(''))
  })

  it('is written readably', () => {
    const view = parse('?range=2026-11-23T00:00:00Z..2026-11-23T00:15:00Z&talkers=src_addr,dst_addr')
    expect(format(view)).toBe('?range=2026-11-23T00:00:00Z..2026-11-23T00:15:00Z&talkers=src_addr,dst_addr')
  })

  it('ignores what it does not know', () => {
    expect(parse('?range=soon&by=weather&metric=kg&talkers=x&refresh=1&raw=perhaps')).toEqual({ ...parse(''), refresh: 5 })
  })
})

describe('ranges', () => {
  it.each(['5m', '15m', '1h', '6h', '24h', '7d', '90s'])('%s', (text) => expect(formatRange(parseRange(text)!)).toBe(text))

  it.each(['', '15', '0m', '-5m', '1w', 'a..b', '2026-11-23T01:00:00Z..2026-11-23T00:00:00Z', '1..2..3'])('%s is none', (text) =>
    expect(parseRange(text)).toBeNull(),
  )

  it('reach up to the end of the present second', () => {
    const now = Date.parse('2026-11-23T00:00:00.250Z')
    expect(resolve({ last: 60_000 }, now)).toEqual({
      from: Date.parse('2026-11-22T23:59:01Z'),
      to: Date.parse('2026-11-23T00:00:01Z'),
    })
  })
})
