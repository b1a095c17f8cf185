// From an answer to what a stacked chart draws: layers from the bottom up,
// points in time, and an axis that ends on a round number.

import type { Report } from '@/ask/api'
import { niceStep, scaleFor } from '@/words/format'

export interface Layer {
  index: number // of the answer's line; -1 is Other
  values: number[] // one for each bucket
}

export interface Stack {
  layers: Layer[] // Other first: it lies at the bottom
  times: number[] // where each bucket begins, ms
  step: number // ms
  from: number
  to: number
  top: number // where the axis ends
  tick: number
  flat: boolean // nothing flowed: the axis has no scale to show
  factor: number // what the axis's figures are divided by
  prefix: string
}

/**
 * stack prepares an answer asked at `now`. The bucket that is still filling is
 * left out: drawn, it would look as if the traffic fell.
 */
export function stack(answer: Report, now = Infinity): Stack {
  const lines = [...answer.rows.entries()]
  const layers: Layer[] = lines.map(([index, line]) => ({ index, values: line.values ?? [] })).reverse()
  if (answer.other) layers.unshift({ index: -1, values: answer.other.values ?? [] })
  const step = (answer.step_seconds ?? 0) * 1000
  const all = (answer.times ?? []).map((time) => Date.parse(time))
  const times = all.filter((time, i) => i === 0 || time + step <= now)
  const highest = times.reduce((most, _, i) => Math.max(most, sum(layers, i)), 0)
  const tick = highest > 0 ? niceStep(highest, 4) : 1
  const top = highest > 0 ? Math.ceil(highest / tick) * tick : 1
  return {
    layers,
    times,
    step,
    from: Date.parse(answer.from),
    to: Math.min(Date.parse(answer.to), Math.max(now, Date.parse(answer.from) + step)),
    top,
    tick,
    flat: highest === 0,
    ...scaleFor(top),
  }
}

const sum = (layers: Layer[], i: number) => layers.reduce((total, layer) => total + (layer.values[i] ?? 0), 0)

/** bucketAt finds the bucket that holds a time, -1 outside all. */
export function bucketAt(s: Stack, time: number): number {
  const first = s.times[0]
  if (first === undefined || s.step <= 0) return -1
  const i = Math.floor((time - first) / s.step)
  return i >= 0 && i < s.times.length ? i : -1
}

/** layerAt finds the line drawn at a height over a bucket, null above all. */
export function layerAt(s: Stack, bucket: number, value: number): number | null {
  if (bucket < 0 || value < 0) return null
  let height = 0
  for (const layer of s.layers) {
    height += layer.values[bucket] ?? 0
    if (value <= height) return layer.index
  }
  return null
}

/**
 * points draws a bucket's mean rate at its middle, and extends the first and
 * the last to the ends of the range.
 */
export function points(s: Stack, layer: Layer): [number, number][] {
  const drawn: [number, number][] = s.times.map((time, i) => [Math.min(time + s.step / 2, s.to), layer.values[i] ?? 0])
  const first = drawn[0]
  const last = drawn.at(-1)
  if (!first || !last) return []
  return [[Math.max(s.times[0]!, s.from), first[1]], ...drawn, [Math.min(s.times.at(-1)! + s.step, s.to), last[1]]]
}
