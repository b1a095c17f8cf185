import { expect, test } from 'vitest'
import type { Proved } from '@/ask/proof'
import { beyond, placeOf, rangeOf, ratioWords, signOf, suggested, utilisation } from './ratio'

test('one is the middle, and twice as far from it as half', () => {
  expect(placeOf(1)).toBe(0.5)
  expect(placeOf(2) - 0.5).toBeCloseTo(0.5 - placeOf(0.5))
  expect([placeOf(0), placeOf(1e-9), placeOf(1e9)]).toEqual([0, 0, 1])
  expect([beyond(1 / 1000), beyond(0), beyond(2)]).toEqual([true, true, false])
  const { from, to } = rangeOf(1, 0.5)
  expect(from).toBeLessThan(0.5)
  expect(to).toBeGreaterThan(0.5)
  expect(rangeOf(1, 2).from).toBe(0)
})

test('a small ratio is a part', () => {
  expect([ratioWords(1 / 4096), ratioWords(0.5), ratioWords(1), ratioWords(2.04), ratioWords(4096), ratioWords(0), ratioWords(null)]).toEqual(['1/4096', '0.50×', '1.00×', '2.04×', '4096×', '0', '–'])
  expect(['healthy', 'idle', '', 'double_count'].map(signOf)).toEqual(['good', 'unknown', 'unknown', 'bad'])
  expect([utilisation(5e8, 1e9), utilisation(5e8, 0), utilisation(null, 1e9)]).toEqual([0.5, null, null])
})

test('a rate is set where it is wrong', () => {
  const one = (index: number, direction: 'in' | 'out', implied: number | null, since = '') => ({ exporter: '192.0.2.1', index, direction, verdict: 'rate_wrong', implied_rate: implied, since }) as Proved
  const from = '2026-11-23T00:00:00Z'
  expect(suggested(one(1, 'in', null), [], from)).toBe(null)
  const alone = one(1, 'in', 2000, '2026-11-23T10:00:00Z')
  expect(suggested(alone, [alone], from)).toEqual({ exporter: '192.0.2.1', interface: 1, rate: 2000, from: '2026-11-23T10:00:00Z' })
  const all = [one(1, 'in', 2000, from), one(2, 'in', 2000, from)]
  expect(suggested(all[0]!, all, from)).toEqual({ exporter: '192.0.2.1', interface: 0, rate: 2000 })
  expect(suggested(one(1, 'out', 2000, from), [], from)?.interface).toBe(0)
})
