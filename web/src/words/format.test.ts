import { describe, expect, it } from 'vitest'
import { digits, exact, figure, moment, niceStep, percent, scaleFor, si, tick } from './format'

describe('si', () => {
  it.each([
    [0, 'bit/s', '0 bit/s'],
    [1, 'bit/s', '1 bit/s'],
    [999, 'B', '999 B'],
    [1000, 'B', '1 kB'],
    [1024, 'B', '1.02 kB'],
    [12_340_000_000, 'bit/s', '12.3 Gbit/s'],
    [1_500_000, '', '1.5 M'],
    [0.5, 'flows/s', '0.5 flows/s'],
    [0.001, 'flows/s', '<0.01 flows/s'],
    [1e21, 'B', '1000 EB'],
  ])('writes %d %s as %s', (value, unit, text) => expect(si(value, unit)).toBe(text))

  it('changes the prefix rather than write 1000 of the smaller', () => {
    expect(si(999_499)).toBe('999 k')
    expect(si(999_600)).toBe('1 M')
  })
})

it('scales an axis by powers of ten', () => {
  expect(scaleFor(15e9)).toEqual({ factor: 1e9, prefix: 'G' })
  expect(scaleFor(0)).toEqual({ factor: 1, prefix: '' })
})

it('keeps three significant digits', () => {
  expect([0, 0.05, 1.234, 10, 99.94, 99.96, 123.4].map(digits)).toEqual(['0', '0.05', '1.23', '10', '99.9', '100', '123'])
})

it('groups exact figures', () => {
  expect(exact(1234567)).toBe('1\u202f234\u202f567')
  expect(exact(999)).toBe('999')
})

it('never rounds a share up to all or down to nothing', () => {
  expect(percent(1, 3)).toBe('33.3 %')
  expect(percent(1, 100_000)).toBe('<0.1 %')
  expect(percent(0, 10)).toBe('0.0 %')
  expect(percent(10, 10)).toBe('100 %')
  expect(percent(1, 0)).toBe('–')
})

it('writes a report\'s values in its unit', () => {
  expect(figure(1.25e9, 'bit/s')).toBe('1.25 Gbit/s')
  expect(figure(12_000, 'packet/s')).toBe('12 k/s')
  expect(figure(512, 'bytes/packet')).toBe('512 B')
  expect(figure(7, 'addresses')).toBe('7')
})

it('finds round steps for an axis', () => {
  expect(niceStep(11.7, 4)).toBe(5)
  expect(niceStep(9.9, 4)).toBe(2.5)
  expect(niceStep(8e9, 4)).toBe(2e9)
  expect(niceStep(1, 4)).toBe(0.25)
})

it('labels midnight with the day, other times with the clock', () => {
  expect(tick(new Date(2026, 10, 23))).toBe('11-23')
  expect(tick(new Date(2026, 10, 23, 0, 5))).toBe('00:05')
  expect(tick(new Date(2026, 10, 23, 0, 5, 30))).toBe('00:05:30')
})

it('leaves out the date of today', () => {
  const now = new Date(2026, 10, 23, 12, 0, 0)
  expect(moment(new Date(2026, 10, 23, 9, 5, 7), now)).toBe('09:05:07')
  expect(moment(new Date(2026, 10, 22, 9, 5, 0), now)).toBe('2026-11-22 09:05')
})
