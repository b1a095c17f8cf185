import { expect, it } from 'vitest'
import { lossWords, merged, type Loss } from './losses'

const loss = (from: number, to: number, more: Partial<Loss> = {}): Loss => ({
  from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString(), exporter: '192.0.2.1', kind: 'missing_units', share: 0.1, ...more,
})

it('joins what overlaps, within the chart', () => {
  const all = [loss(50, 70), loss(0, 20), loss(10, 30), loss(30, 40), loss(200, 300)]
  expect(merged(all, 5_000, 60_000)).toEqual([{ from: 5_000, to: 40_000 }, { from: 50_000, to: 60_000 }])
})

it('says what a time lacks, the worst first, each once, and how many more', () => {
  const all = [loss(0, 10), loss(5, 15), loss(0, 10, { exporter: '192.0.2.2', share: 0.5 }), loss(0, 10, { kind: 'restart', share: null }), loss(0, 10, { exporter: '', kind: 'meteor', words: 'a meteor', share: 1 }), loss(20, 30, { kind: 'silent' })]
  expect(lossWords(all, 0, 10_000)).toEqual([
    '100 % of flows lost: a meteor',
    '50.0 % of flows lost: 192.0.2.2 sequence numbers are missing',
    '10.0 % of flows lost: 192.0.2.1 sequence numbers are missing',
    'and 1 more',
  ])
  expect(lossWords(all, 15_000, 20_000)).toEqual([])
})
