import { expect, test } from 'vitest'
import howto from '../../../../docs/howto-timers.md?raw'
import { bestRange, differenceOf, stepFor } from './compare'
import { timerLines } from './lines'

test('the page of the documentation has the same lines', () => {
  for (const { name, lines } of timerLines) {
    expect(howto).toContain(name)
    expect(howto).toContain(lines)
  }
})

test('steps are fine where the range is short', () => {
  expect([900_000, 3_600_000, 6 * 3_600_000, 7 * 86_400_000].map(stepFor)).toEqual([10, 10, 60, 300])
  expect([60, 300, 1800].map(bestRange)).toEqual([900_000, 3_600_000, 21_600_000])
})

test('a download told at its end is a spike, and a hole before', () => {
  expect(differenceOf([10, 10, 10, 10], [10, 10, 10, 10])).toEqual({ off: 0, spread: 10, whole: 10, gaps: 0 })
  expect(differenceOf([10, 10, 10, 10], [0, 0, 0, 40])).toEqual({ off: 1.5, spread: 10, whole: 40, gaps: 0.75 })
  expect(differenceOf([0, 0], [0, 0])).toBe(null)
})
