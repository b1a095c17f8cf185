// From an answer to what a chart over time draws: layers from the waterline
// outward, points in time, and an axis that ends on round numbers. What flows
// into the network, or simply the report, stands above the line; the other
// direction, where it was asked for, hangs below it.

import type { Report, ReportRow } from '@/ask/api'
import type { ChartKind } from '@/panel/spec'
import { niceStep, scaleFor } from '@/words/format'

export interface Layer {
  index: number // of the answer's row; -1 is Other
  side: 1 | -1 // above the waterline or below
  values: (number | null)[] // one for each bucket, in the metric; null where nothing can be drawn
}

export interface Stack {
  kind: 'area' | 'lines' | 'bars'
  stacked: boolean
  layers: Layer[] // of each side the one next to the waterline first: Other lies there
  /** Totals of the earlier range, above and below; empty without one. */
  earlier: Layer[]
  times: number[] // where each bucket begins, ms
  step: number // ms
  from: number
  to: number
  top: number // where the axis ends
  bottom: number // 0, or below it
  tick: number
  log: boolean
  flat: boolean // nothing flowed: the axis has no scale to show
  factor: number // what the axis's figures are divided by
  prefix: string
}

/** Metrics whose rows add up; those of others are lines, whatever was asked. */
const additive = new Set(['bytes', 'packets', 'flows', 'bps', 'l2bps', 'pps', 'fps'])

/**
 * stack prepares an answer asked at `now`. The bucket that is still filling is
 * left out: drawn, it would look as if the traffic fell. Before `oldest` nothing
 * is kept: that is a gap, not silence.
 */
export function stack(answer: Report, now = Infinity, chart: ChartKind = 'area', log = false, oldest = -Infinity): Stack {
  const adds = additive.has(answer.metric)
  const kind = !adds || chart === 'lines' ? 'lines' : chart === 'bars' ? 'bars' : 'area'
  const stacked = kind !== 'lines'
  const logarithmic = log && kind === 'lines' && !answer.mirror
  const step = (answer.step_seconds ?? 0) * 1000
  const all = (answer.times ?? []).map((time) => Date.parse(time))
  const times = all.filter((time, i) => i === 0 || time + step <= now)

  let layers = [...side(answer, 1), ...(answer.mirror ? side(answer.mirror, -1) : [])]
  if (chart === 'share' && stacked) layers = shares(layers, times.length)
  if (logarithmic) layers = layers.map((layer) => ({ ...layer, values: layer.values.map((value) => (value ? value : null)) }))
  const earlier = chart === 'share' || !adds ? [] : [total(answer.earlier, 1), total(answer.mirror?.earlier, -1)].filter((layer) => layer !== null)

  const shift = answer.earlier ? Date.parse(answer.from) - Date.parse(answer.earlier.from) : 0
  const kept = (layer: Layer, back: number): Layer => ({ ...layer, values: layer.values.map((value, i) => (all[i]! + step - back <= oldest ? null : value)) })
  layers = layers.map((layer) => kept(layer, 0))
  const before = earlier.map((layer) => kept(layer, shift))

  const reach = (s: 1 | -1) => (stacked ? times.reduce((most, _, i) => Math.max(most, sum(layers, i, s)), 0) : most(layers, s))
  const highest = Math.max(reach(1), most(before, 1))
  const lowest = Math.max(reach(-1), most(before, -1))
  const whole = Math.max(highest, lowest)
  const tick = chart === 'share' && stacked ? 25 : whole > 0 ? niceStep(highest + lowest, answer.mirror ? 6 : 4) : 1
  const round = (value: number) => Math.ceil(value / tick - 1e-9) * tick
  const top = chart === 'share' && stacked ? 100 : whole > 0 ? Math.max(round(highest), answer.mirror ? 0 : tick) : 1
  const bottom = answer.mirror ? (chart === 'share' && stacked ? -100 : -round(lowest)) : 0
  return {
    kind,
    stacked,
    layers,
    earlier: before,
    times,
    step,
    from: Date.parse(answer.from),
    to: Math.min(Date.parse(answer.to), Math.max(now, Date.parse(answer.from) + step)),
    top,
    bottom,
    tick,
    log: logarithmic,
    flat: whole === 0,
    ...(chart === 'share' && stacked ? { factor: 1, prefix: '%' } : scaleFor(Math.max(top, -bottom))),
  }
}

function side(answer: Report, s: 1 | -1): Layer[] {
  const layer = (row: ReportRow, index: number): Layer => ({ index, side: s, values: row.values ?? [] })
  const layers = answer.rows.map(layer).reverse()
  if (answer.other) layers.unshift(layer(answer.other, -1))
  return layers
}

const total = (answer: Report | undefined, s: 1 | -1): Layer | null => (answer?.total.values ? { index: -2, side: s, values: answer.total.values } : null)

const sum = (layers: Layer[], i: number, s: 1 | -1) => layers.reduce((all, layer) => all + (layer.side === s ? (layer.values[i] ?? 0) : 0), 0)

const most = (layers: Layer[], s: 1 | -1) => layers.reduce((all, layer) => (layer.side === s ? layer.values.reduce<number>((a, b) => Math.max(a, b ?? 0), all) : all), 0)

/** shares makes each bucket's values parts of a hundred, of each side by itself. */
function shares(layers: Layer[], buckets: number): Layer[] {
  const whole = { 1: [] as number[], [-1]: [] as number[] }
  for (let i = 0; i < buckets; i++) for (const s of [1, -1] as const) whole[s].push(sum(layers, i, s))
  return layers.map((layer) => ({ ...layer, values: layer.values.map((value, i) => (whole[layer.side][i]! > 0 ? (100 * (value ?? 0)) / whole[layer.side][i]! : null)) }))
}

/** bucketAt finds the bucket that holds a time, -1 outside all. */
export function bucketAt(s: Stack, time: number): number {
  const first = s.times[0]
  if (first === undefined || s.step <= 0) return -1
  const i = Math.floor((time - first) / s.step)
  return i >= 0 && i < s.times.length ? i : -1
}

/** layerAt finds the row drawn at a height over (or under) a bucket; of lines the nearest. Null where none is. */
export function layerAt(s: Stack, bucket: number, value: number): number | null {
  if (bucket < 0) return null
  const sign = value < 0 ? -1 : 1
  const mine = s.layers.filter((layer) => layer.side === sign)
  if (!s.stacked) {
    let best: Layer | null = null
    const distance = (layer: Layer) => Math.abs((layer.values[bucket] ?? Infinity) - Math.abs(value))
    for (const layer of mine) if (!best || distance(layer) < distance(best)) best = layer
    return best && distance(best) < (s.top - s.bottom) / 25 ? best.index : null
  }
  let height = 0
  for (const layer of mine) {
    height += layer.values[bucket] ?? 0
    if (Math.abs(value) <= height) return layer.index
  }
  return null
}

/**
 * points draws a bucket's mean rate at its middle, and extends the first and
 * the last to the ends of the range. A gap stays one.
 */
export function points(s: Stack, layer: Layer): [number, number | null][] {
  const drawn: [number, number | null][] = s.times.map((time, i) => {
    const value = layer.values[i]
    return [Math.min(time + s.step / 2, s.to), value === null ? null : layer.side * (value ?? 0)]
  })
  const first = drawn[0]
  const last = drawn.at(-1)
  if (!first || !last || s.kind === 'bars') return drawn
  return [[Math.max(s.times[0]!, s.from), first[1]], ...drawn, [Math.min(s.times.at(-1)! + s.step, s.to), last[1]]]
}
