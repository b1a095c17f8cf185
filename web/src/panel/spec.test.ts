import { expect, it } from 'vitest'
import type { Parameters } from '@/ask/state'
import { formatSpec, parseSpec, usual } from './spec'

const given = (q: Parameters) => Object.fromEntries(Object.entries(q).filter(([, value]) => value !== undefined))

it('says nothing of what is as usual', () => expect(given(formatSpec(parseSpec({})))).toEqual({}))

it.each<Parameters>([
  { by: 'src_as,dst_as', chart: 'sankey', top: '50' },
  { by: '-', metric: 'pps', compare: '7d', mirror: '1' },
  { by: 'src_addr/24/48', log: '1', hide: '3', exact: '1' },
])('%s survives', (q) => expect(given(formatSpec(parseSpec(q)))).toEqual(q))

it('says how it differs from a report', () => {
  const report = { ...usual, by: ['app'], mirror: true, compare: '7d' }
  const changed = { ...report, mirror: false, compare: '' }
  expect(given(formatSpec(changed, report))).toEqual({ mirror: '0', compare: '-' })
  expect(parseSpec(formatSpec(changed, report), report)).toEqual(changed)
})

it('reads what it does not know as usual', () => {
  expect(parseSpec({ by: 'x;drop', metric: '<b>', chart: 'pie', top: '-1', compare: 'then', hide: 'all' })).toEqual({ ...usual, by: [] })
})
