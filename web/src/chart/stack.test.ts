import { describe, expect, it } from 'vitest'
import type { Report, ReportRow } from '@/ask/api'
import { bucketAt, errorOf, layerAt, lone, points, stack } from './stack'

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

describe('the other kinds', () => {
  it('hang the other direction below the waterline', () => {
    const mirrored = stack({ ...answer, mirror: { ...answer, rows: [line('TCP', [10, 20, 30]), line('UDP', [0, 0, 5])], other: null } })
    expect([mirrored.top, mirrored.bottom, mirrored.tick]).toEqual([400, -100, 100])
    expect(mirrored.layers.filter((l) => l.side < 0).map((l) => l.index)).toEqual([1, 0])
    expect(points(mirrored, mirrored.layers.at(-1)!)[1]![1]).toBe(-10)
    expect(layerAt(mirrored, 2, -4)).toBe(1)
    expect(layerAt(mirrored, 2, -20)).toBe(0)
  })

  it('make shares of each bucket, and gaps of empty ones', () => {
    const s = stack({ ...answer, other: null, rows: [line('TCP', [30, 0, 1]), line('UDP', [10, 0, 3])] }, Infinity, 'share')
    expect(s.layers.map((l) => l.values)).toEqual([[25, null, 75], [75, null, 25]])
    expect([s.top, s.tick]).toEqual([100, 25])
  })

  it('draws what does not add up as lines', () => {
    const s = stack({ ...answer, metric: 'packet_size' })
    expect([s.kind, s.stacked, s.top]).toEqual(['lines', false, 300])
    expect(layerAt(s, 0, 99)).toBe(0)
    expect(layerAt(s, 0, 290)).toBeNull()
  })

  it('has no zeros on a logarithmic axis', () => {
    const s = stack({ ...answer, other: null, rows: [line('TCP', [0, 10, 100])] }, Infinity, 'lines', true)
    expect(s.log).toBe(true)
    expect(s.layers[0]!.values).toEqual([null, 10, 100])
  })

  it('leaves a gap where nothing is kept yet', () => {
    const earlier = { ...answer, from: minute(-2), total: line('Total', [5, 6, 7]) }
    const s = stack({ ...answer, earlier }, Infinity, 'area', false, at(-1))
    expect(s.earlier[0]!.values).toEqual([null, 6, 7])
    expect(s.layers.at(-1)!.values).toEqual([100, 200, 300])
  })

  it('has room for the earlier range', () => {
    const s = stack({ ...answer, earlier: { ...answer, total: line('Total', [900, 1, 1]) } })
    expect(s.top).toBe(1000)
    expect(s.earlier.map((l) => l.values)).toEqual([[900, 1, 1]])
  })

  it('has no mean size where there are no packets', () => {
    const s = stack({ ...answer, metric: 'packet_size', other: null, rows: [line('TCP', [800, 0, 900])] })
    expect(s.layers[0]!.values).toEqual([800, null, 900])
    // Both ends are drawn to the edges; a point between gaps stands alone.
    expect([false, true, false]).toEqual([0, 1, 2].map((i) => lone([[0, null], [1, 5], [2, null]], i)))
    expect(lone([[0, 4], [1, 5]], 0)).toBe(false)
  })

  it('leaves a gap while the collector did not run', () => {
    const stopped = [{ from: at(1) - 5000, to: at(3) }]
    const s = stack({ ...answer, other: null, rows: [line('TCP', [100, 0, 300])], total: line('Total', [100, 0, 300]) }, Infinity, 'area', false, -Infinity, stopped)
    expect(s.layers[0]!.values).toEqual([100, null, 300]) // of the third minute something is known
    expect(points(s, s.layers.at(-1)!).map((point) => point[1])).toEqual([100, 100, null, 300, 300])
  })

  it('draws of lines each one\'s earlier values', () => {
    const earlier = { ...answer, rows: [line('TCP', [1, 2, 3]), line('UDP', [4, 5, 6])] }
    const s = stack({ ...answer, earlier }, Infinity, 'lines')
    expect(s.earlier.map((l) => [l.index, l.values])).toEqual([[1, [4, 5, 6]], [0, [1, 2, 3]]])
  })

  it('leaves out a bucket whose beginning is no longer kept', () => {
    expect(stack(answer, Infinity, 'area', false, at(0) + 1000).layers.at(-1)!.values).toEqual([null, 200, 300])
    // Alone it is better than nothing.
    const one = { ...answer, times: [minute(0)], rows: [line('TCP', [100])], other: null }
    expect(stack(one, Infinity, 'area', false, at(0) + 1000).layers[0]!.values).toEqual([100])
  })
})

describe('what sampling leaves uncertain', () => {
  const sampled = { ...line('TCP', [100, 400, 400]), sampling_error: 0.1 }

  it('is more of a bucket than of the whole, by the root of how much less there is', () => {
    expect(errorOf(sampled, 100)).toBeCloseTo(0.3)
    expect(errorOf(sampled, 400)).toBeCloseTo(0.15)
    expect(errorOf(sampled, 0)).toBe(0)
    expect(errorOf({ ...sampled, sampling_error: 2 }, 1)).toBe(1)
  })

  it('is a band about each line, and about the sum of a stack', () => {
    const one = { ...answer, rows: [sampled], other: null, total: sampled }
    const { bands, top } = stack(one, Infinity, 'lines')
    expect(bands.map((b) => [b.index, b.side])).toEqual([[0, 1]])
    expect([...bands[0]!.low, ...bands[0]!.high].map((v) => Math.round(v!))).toEqual([70, 340, 340, 130, 460, 460])
    expect(top).toBeGreaterThanOrEqual(460)
    expect(stack(one).bands.map((b) => b.index)).toEqual([-2])
  })

  it('is not drawn where it is small, nor of shares, nor of what does not add up', () => {
    const one = { ...answer, rows: [sampled], other: null, total: sampled }
    expect(stack(answer).bands).toEqual([])
    expect(stack(one, Infinity, 'share').bands).toEqual([])
    expect(stack({ ...one, metric: 'p95' }).bands).toEqual([])
  })
})
