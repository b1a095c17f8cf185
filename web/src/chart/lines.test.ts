import { expect, test } from 'vitest'
import { axisOf, bandPath, linePath } from './lines'

const x = (i: number) => 10 * i
const y = (value: number) => 100 - value

test('a gap is a gap, and one value alone is still seen', () => {
  expect(linePath([1, 2, null, 5, null, 7, 8], x, y)).toBe('M0.0 99.0L10.0 98.0M28.0 95.0h4M50.0 93.0L60.0 92.0')
  expect(linePath([null, null], x, y)).toBe('')
})

test('a band goes there above, and back below', () => {
  expect(bandPath([1, 2, null, 3], [5, 6, 7, 8], x, y)).toBe('M0.0 95.0L10.0 94.0L10.0 98.0L0.0 99.0Z')
})

test('an axis has nought, all values, and some height', () => {
  const line = (values: (number | null)[]) => [{ name: '', colour: '', values }]
  expect(axisOf(line([null]))).toEqual({ bottom: 0, top: 1, ticks: [0, 0.25, 0.5, 0.75, 1] })
  expect(axisOf(line([3, 10]))).toEqual({ bottom: 0, top: 10, ticks: [0, 2.5, 5, 7.5, 10] })
  const late = axisOf(line([-505, 20]))
  expect(late.bottom).toBeLessThanOrEqual(-505)
  expect(late.top).toBeGreaterThanOrEqual(20)
  expect(late.ticks).toContain(0)
  expect(axisOf([{ name: '', colour: '', values: [1], band: { low: [0], high: [40] } }]).top).toBe(40)
  expect(axisOf(line([1]), 100).top).toBe(100)
})
