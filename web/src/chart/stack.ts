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
  /** The earlier range: its total above and below, of lines each row's; empty without one. */
  earlier: Layer[]
  /** How far sampling leaves what is drawn uncertain, where that is much. */
  bands: Band[]
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

/** Between these the true value lies (95 %); null where sampling leaves little doubt. */
export interface Band {
  index: number // of a line's row; -2 is the sum of a side's layers
  side: 1 | -1
  low: (number | null)[]
  high: (number | null)[]
}

/** Above this a bucket's error is worth drawing. */
export const doubtful = 0.05

/** Metrics whose rows add up; those of others are lines, whatever was asked. */
export const additive = new Set(['bytes', 'packets', 'flows', 'bps', 'l2bps', 'pps', 'fps'])

/**
 * stack prepares an answer asked at `now`. The bucket that is still filling is
 * left out: drawn, it would look as if the traffic fell. Before `oldest` nothing
 * is kept, and while the collector was `stopped` nothing came: that is a gap, not silence, and so is the mean size of no packets; nor is a bucket whose beginning is lost
 * drawn beside whole ones.
 */
export function stack(answer: Report, now = Infinity, chart: ChartKind = 'area', log = false, oldest = -Infinity, stopped: { from: number; to: number }[] = []): Stack {
  const kind = !additive.has(answer.metric) || chart === 'lines' ? 'lines' : chart === 'bars' ? 'bars' : 'area'
  const stacked = kind !== 'lines'
  const shared = stacked && chart === 'share'
  const logarithmic = log && !stacked && !answer.mirror
  const step = (answer.step_seconds ?? 0) * 1000
  const all = (answer.times ?? []).map((time) => Date.parse(time))
  const times = all.filter((time, i) => i === 0 || time + step <= now)

  // What nevertheless is known of such a time, of long flows or from files, is drawn.
  const silent = new Set(all.filter((time, i) => !answer.total.values?.[i] && stopped.some(({ from, to }) => time >= from && time + step <= to)))
  const kept = (layers: Layer[], back = 0): Layer[] => {
    const complete = all.some((time) => time - back >= oldest)
    const gone = (time: number) => (complete ? time - back < oldest : time + step - back <= oldest) || (back === 0 && silent.has(time))
    return layers.map((layer) => ({ ...layer, values: layer.values.map((value, i) => (gone(all[i]!) || (!value && (logarithmic || answer.metric === 'packet_size')) ? null : value)) }))
  }
  const both = (of: (report: Report | undefined, s: 1 | -1) => Layer[]) => [...of(answer, 1), ...of(answer.mirror, -1)]
  let layers = kept(both(side))
  const bands = logarithmic || shared ? [] : stacked ? [sumBand(answer, layers, 1), sumBand(answer.mirror, layers, -1)] : both(side).map((layer) => rowBand(layer.side > 0 ? answer : answer.mirror!, layer))
  if (shared) layers = shares(layers, all.length)
  const back = answer.earlier ? Date.parse(answer.from) - Date.parse(answer.earlier.from) : 0
  const earlier = shared ? [] : kept(both((report, s) => (stacked ? total(report?.earlier, s) : side(report?.earlier, s).filter((layer) => layer.index >= 0))), back)

  const drawn = bands.filter((band) => band !== null)
  const reach = (s: 1 | -1) => Math.max(stacked ? times.reduce((most, _, i) => Math.max(most, sum(layers, i, s)), 0) : most(layers, s), most(earlier, s), most(drawn.map((band) => ({ ...band, values: band.high })), s))
  const [highest, lowest] = [reach(1), reach(-1)]
  const flat = Math.max(highest, lowest) === 0
  const tick = shared ? 25 : flat ? 1 : niceStep(highest + lowest, answer.mirror ? 6 : 4)
  const round = (value: number) => Math.ceil(value / tick - 1e-9) * tick
  const top = shared ? 100 : flat ? 1 : Math.max(round(highest), answer.mirror ? 0 : tick)
  const bottom = !answer.mirror ? 0 : shared ? -100 : -round(lowest)
  return {
    kind,
    stacked,
    layers,
    earlier,
    bands: drawn,
    times,
    step,
    from: Date.parse(answer.from),
    to: Math.min(Date.parse(answer.to), Math.max(now, Date.parse(answer.from) + step)),
    top,
    bottom,
    tick,
    log: logarithmic,
    flat,
    ...(shared ? { factor: 1, prefix: '%' } : scaleFor(Math.max(top, -bottom))),
  }
}

function side(answer: Report | undefined, s: 1 | -1): Layer[] {
  if (!answer) return []
  const layer = (row: ReportRow, index: number): Layer => ({ index, side: s, values: row.values ?? [] })
  const layers = answer.rows.map(layer).reverse()
  if (answer.other) layers.unshift(layer(answer.other, -1))
  return layers
}

const total = (answer: Report | undefined, s: 1 | -1): Layer[] => (answer?.total.values ? [{ index: -2, side: s, values: answer.total.values }] : [])

/**
 * errorOf is how far sampling may leave one bucket's value off, as a part of it.
 * The row's own error is of all its packets; a bucket has fewer of them, and an
 * error grows with the root of how many fewer.
 */
export function errorOf(row: ReportRow, value: number): number {
  const whole = (row.values ?? []).reduce((all, one) => all + one, 0)
  return value > 0 && whole > 0 ? Math.min(1, row.sampling_error * Math.sqrt(whole / value)) : 0
}

function band(row: ReportRow, index: number, s: 1 | -1, values: (number | null)[]): Band | null {
  const errors = values.map((value) => (value === null ? 0 : errorOf(row, value)))
  if (!errors.some((error) => error > doubtful)) return null
  const bound = (sign: number) => values.map((value, i) => (value !== null && errors[i]! > doubtful ? value * (1 + sign * errors[i]!) : null))
  return { index, side: s, low: bound(-1), high: bound(1) }
}

const sumBand = (answer: Report | undefined, layers: Layer[], s: 1 | -1) => answer ? band(answer.total, -2, s, (answer.times ?? []).map((_, i) => sum(layers, i, s))) : null

/** Of metrics that do not add up, such as percentiles, a row's error says nothing. */
const rowBand = (answer: Report, layer: Layer) => {
  const row = layer.index < 0 ? answer.other : answer.rows[layer.index]
  return row && additive.has(answer.metric) ? band(row, layer.index, layer.side, layer.values) : null
}

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

/** lone tells whether a line has no neighbour to go to from a point, and would not be seen. */
export const lone = (drawn: [number, number | null][], i: number): boolean => drawn[i]![1] !== null && (drawn[i - 1]?.[1] ?? null) === null && (drawn[i + 1]?.[1] ?? null) === null

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
