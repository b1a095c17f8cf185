import { expect, it } from 'vitest'
import { meant, ranked } from './goals'

it.each([
  ['192.0.2.1', { kind: 'address', value: '192.0.2.1' }],
  ['2001:db8::1', { kind: 'address', value: '2001:db8::1' }],
  ['::', { kind: 'address', value: '::' }],
  ['10.0.0.0/8', { kind: 'prefix', value: '10.0.0.0/8' }],
  ['2001:db8::/32', { kind: 'prefix', value: '2001:db8::/32' }],
  ['as64500', { kind: 'as', value: '64500' }],
  ['AS 4200000000', { kind: 'as', value: '4200000000' }],
  ['256.0.0.1', null],
  ['10.0.0.0/33', null],
  ['1::2::3', null],
  ['12345::', null],
  ['as99999999999', null],
  ['443', null],
  ['', null],
])('%s', (typed, what) => expect(meant(typed)).toEqual(what))

it('prefers names that begin with what was typed', () => {
  const goals = ['Source ASes', 'Applications', 'TenGigE0/0/0/1', 'AS pairs'].map((text) => ({ text, kind: '' }))
  expect(ranked(goals, 'as').map((goal) => goal.text)).toEqual(['AS pairs', 'Source ASes'])
  expect(ranked(goals, 'ten 0/1').map((goal) => goal.text)).toEqual(['TenGigE0/0/0/1'])
  expect(ranked(goals, 'zzz')).toEqual([])
  expect(ranked(goals, '').length).toBe(4)
})
