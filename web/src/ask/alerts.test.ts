import { expect, it } from 'vitest'
import { around } from './alerts'

it('shows how it was before an alert, and goes on', () => {
  const now = Date.parse('2026-11-23T15:02:30Z')
  expect(around('2026-11-23T14:55:00Z', now)).toBe('68m')
  expect(around('2026-11-23T09:02:30Z', now)).toBe('7h')
  expect(around(null, now)).toBe('6h')
})
