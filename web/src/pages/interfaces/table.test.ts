import { expect, test } from 'vitest'
import { csv, found, rowsOf, sorted } from './table'

const ports = [
  { exporter: '192.0.2.1', index: 10, name: 'xe-0/0/10', description: 'TRANSIT "big", AS64500', role: 'external' as const, speed: 1000, in_bps: 200, out_bps: 900, in_discards_ps: 1, out_discards_ps: null, in_verdict: 'healthy', out_verdict: 'loss' },
  { exporter: '192.0.2.1', index: 2, name: 'xe-0/0/2', description: '=1+1', speed: 0, in_bps: null, out_bps: null },
]
const rows = rowsOf(ports, new Map([['192.0.2.1 2', 50], ['192.0.2.9 3', 7], ['192.0.2.9 null', 1]]), new Map([['192.0.2.1 10', 890]]))

test('counters come first, flows stand in, and none is nought', () => {
  expect(rows.map((row) => [row.id, row.in, row.out, row.use, row.discards, row.errors])).toEqual([
    ['192.0.2.1 10', 200, 900, 0.9, 1, null],
    ['192.0.2.1 2', 50, null, null, null, null],
    ['192.0.2.9 3', 7, null, null, null, null],
  ])
})

test('the greatest first, numbers of names as numbers, unknown ones last either way', () => {
  const ids = (by: Parameters<typeof sorted>[1], backwards = false) => sorted(rows, by, backwards).map((row) => row.index)
  expect(ids('in')).toEqual([10, 2, 3])
  expect(ids('in', true)).toEqual([3, 2, 10])
  expect(ids('use', true)).toEqual([10, 2, 3])
  expect(ids('name')).toEqual([3, 2, 10])
  expect(ids('verdict')[0]).toBe(10)
})

test('every word is found somewhere', () => {
  expect(found(rows, 'transit LOST', (verdict) => (verdict === 'loss' ? 'flows lost' : verdict)).map((row) => row.index)).toEqual([10])
  expect(found(rows, 'transit if3', String)).toEqual([])
})

test('CSV is read by others, and computes nothing', () => {
  const lines = csv(rows).split('\r\n')
  expect(lines).toHaveLength(5)
  expect(lines[1]).toBe('192.0.2.1,10,xe-0/0/10,"TRANSIT ""big"", AS64500",external,,1000,0.9,200,900,,890,1,,,,healthy,loss')
  expect(lines[2]).toContain(",'=1+1,")
})
