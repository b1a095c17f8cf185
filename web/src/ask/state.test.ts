import { describe, expect, it } from 'vitest'
import { format, formatRange, parse, parseRange, resolve, type Parameters } from './state'

const given = (view: Parameters) => Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined))

describe('the address', () => {
  it('is empty for the defaults', () => expect(given(format(parse({})))).toEqual({}))

  it.each<Parameters>([
    { range: '7d' },
    { range: '15m', filter: 'src net 10.0.0.0/8 and port > 1023' },
    { range: '2026-11-23T00:00:00Z..2026-11-23T00:15:00Z', scope: 'once' },
    { raw: '1', refresh: '0' },
    { filter: 'in if "&<水面"' },
  ])('%s survives', (parameters) => expect(given(format(parse(parameters)))).toEqual(parameters))

  it('ignores what it does not know', () => {
    expect(parse({ range: 'soon', scope: 'weather', refresh: '1', raw: 'perhaps' })).toEqual(parse({}))
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
