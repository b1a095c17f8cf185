import { describe, expect, it } from 'vitest'
import type { Report, ReportRow } from '@/ask/api'
import { bucketAt, layerAt, points, stack } from './stack'

const line = (label: string, values: number[]): ReportRow => ({ key: { protocol: label }, label, values, flows: 0, packets: 0, bytes: 0, value: 0, share: 0, sampling_error: 0 })
const minute = (n: number) => new Date(Date.UTC(2026, 10, 23, 0, n)).toISOString()

const answer: Report = {
  by: ['protocol'],
  metric: 'bps',
  unit: 'bit/s',
  from: minute(0),
  to: minute(3),
  step_seconds: 60,
  times: [minute(0), minute(1), minute(2)],
  rows: [line('TCP', [100, 200, 300]), line('UDP', [50, 60, 70])],
  other: line('Other', [1, 2, 3]),
  other_groups: 1,
  total: line('Total', [151, 262, 373]),
  exact: true,
  meta: { question: '', tables: [], segments: 0, damaged: 0, rows_scanned: 0, milliseconds: 0, waited_milliseconds: 0, cached: false, sql: '', command: '' },
}
const at = (n: number) => Date.parse(minute(n))

describe('a stack', () => {
  it('has Other at the bottom and the greatest on top', () => expect(stack(answer).layers.map((l) => l.index)).toEqual([-1, 1, 0]))

  it('ends on a round figure above the highest sum', () => {
    const s = stack(answer)
    expect([s.top, s.tick, s.factor, s.prefix]).toEqual([400, 100, 1, ''])
  })

  it('leaves out the bucket that is still filling', () => {
    const s = stack(answer, at(2) + 30_000)
    expect(s.times).toEqual([at(0), at(1)])
    expect(s.to).toBe(at(2) + 30_000)
  })

  it('finds what is drawn at a point', () => {
    const s = stack(answer)
    expect(bucketAt(s, at(1))).toBe(1)
    expect(bucketAt(s, at(0) - 1)).toBe(-1)
    expect(bucketAt(s, at(3))).toBe(-1)
    expect([1, 50, 150, 400].map((value) => layerAt(s, 0, value))).toEqual([-1, 1, 0, null])
  })

  it('draws rates at the middle of buckets, and up to both ends', () => {
    const s = stack(answer)
    expect(points(s, s.layers[2]!)).toEqual([
      [at(0), 100],
      [at(0) + 30_000, 100],
      [at(1) + 30_000, 200],
      [at(2) + 30_000, 300],
      [at(3), 300],
    ])
  })

  it('stands on a flat axis when there is nothing', () => {
    const empty = stack({ ...answer, rows: [], other: null })
    expect([empty.layers, empty.top, empty.tick, empty.flat]).toEqual([[], 1, 1, true])
  })
})
