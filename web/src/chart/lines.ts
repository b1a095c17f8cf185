// Geometry of plain lines over time: what Lines.vue draws. Values may be missing
// (a gap is a gap) and negative (a clock that is late).

import { niceStep } from '@/words/format'

export type Values = readonly (number | null)[]

export interface LineSeries {
  name: string
  /** A colour of CSS. */
  colour: string
  values: Values
  /** How far the line may be off: drawn as a band behind it. */
  band?: { low: Values; high: Values }
  dashed?: boolean
}

export interface Axis {
  bottom: number
  top: number
  ticks: number[]
}

/** axisOf holds all values, bands too, and nought; what is flat still gets some height. */
export function axisOf(series: readonly LineSeries[], least = 0): Axis {
  let [low, high] = [0, least]
  for (const one of series) {
    for (const values of [one.values, one.band?.low ?? [], one.band?.high ?? []]) {
      for (const value of values) if (value !== null && Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)]
    }
  }
  if (low === high) high = 1
  const step = niceStep(high - low, 4)
  const bottom = Math.floor(low / step) * step
  const top = Math.ceil(high / step) * step
  return { bottom, top, ticks: Array.from({ length: Math.round((top - bottom) / step) + 1 }, (_, i) => bottom + i * step) }
}

/** linePath draws values as an SVG path, interrupted where some are missing; one alone is a short dash. */
export function linePath(values: Values, x: (i: number) => number, y: (value: number) => number): string {
  let path = ''
  values.forEach((value, i) => {
    if (value === null || !Number.isFinite(value)) return
    const [px, py] = [x(i).toFixed(1), y(value).toFixed(1)]
    const before = values[i - 1] ?? null
    if (before !== null) path += `L${px} ${py}`
    else path += (values[i + 1] ?? null) === null ? `M${(x(i) - 2).toFixed(1)} ${py}h4` : `M${px} ${py}`
  })
  return path
}

/** bandPath is the area between two lines, where both are known. */
export function bandPath(low: Values, high: Values, x: (i: number) => number, y: (value: number) => number): string {
  let path = ''
  const known = (i: number) => low[i] !== null && low[i] !== undefined && high[i] !== null && high[i] !== undefined
  for (let i = 0; i < low.length; i++) {
    if (!known(i)) continue
    let end = i
    while (known(end + 1)) end++
    if (end > i) {
      const at = (values: Values) => (n: number) => `${x(n).toFixed(1)} ${y(values[n]!).toFixed(1)}`
      const span = Array.from({ length: end - i + 1 }, (_, n) => i + n)
      path += `M${span.map(at(high)).join('L')}L${span.reverse().map(at(low)).join('L')}Z`
    }
    i = end
  }
  return path
}
