import { afterEach, describe, expect, it } from 'vitest'
import { clock, day, tick } from './format'
import { setZone, timeOf } from './zone'

afterEach(() => setZone(null))

describe.each([
  ['UTC', '2026-11-23T12:30:00Z', '2026-11-23 12:30:00'],
  ['Asia/Tokyo', '2026-11-23T16:30:05Z', '2026-11-24 01:30:05'],
  ['America/New_York', '2026-07-01T03:00:00Z', '2026-06-30 23:00:00'],
  ['Asia/Kolkata', '2026-01-01T00:00:00Z', '2026-01-01 05:30:00'],
])('%s', (zone, moment, wall) => {
  it('writes its times', () => {
    setZone(zone)
    const at = new Date(moment)
    expect(`${day(at)} ${clock(at)}`).toBe(wall)
  })
  it('reads its times', () => {
    setZone(zone)
    expect(timeOf(wall.replace(' ', 'T'))).toBe(Date.parse(moment))
  })
})

it('has its own midnight', () => {
  setZone('Asia/Tokyo')
  expect(tick(new Date('2026-11-22T15:00:00Z'))).toBe('11-23')
})
