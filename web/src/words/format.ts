// Numbers, units and times as people read them. Powers of ten throughout, as
// in the field: 1 kbit/s is 1000 bit/s. Times are in the zone that the reader chose.

import { parts } from './zone'

const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E']

export interface Scale {
  factor: number
  prefix: string
}

/** scaleFor chooses the prefix under which the value is at least 1. */
export function scaleFor(value: number): Scale {
  let i = 0
  let rest = Math.abs(value)
  // 999.5 would be rounded to 1000: it already belongs to the next prefix.
  while (rest >= 999.5 && i < prefixes.length - 1) {
    rest /= 1000
    i++
  }
  return { factor: 1000 ** i, prefix: prefixes[i]! }
}

/** digits writes three significant digits, without exponents. */
export function digits(value: number): string {
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size < 0.01) return value < 0 ? '>−0.01' : '<0.01'
  if (size >= 99.95) return value.toFixed(0)
  if (size >= 9.995) return trimZeros(value.toFixed(1))
  return trimZeros(value.toFixed(2))
}

const trimZeros = (text: string) => text.replace(/\.?0+$/, '')

/** si writes a value with its prefix and unit: "1.25 Gbit/s", "12 k", "7". */
export function si(value: number, unit = ''): string {
  const { factor, prefix } = scaleFor(value)
  return `${digits(value / factor)} ${prefix}${unit}`.trimEnd()
}

/** exact writes a count in full, grouped: "1 234 567". */
export const exact = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f')

export function percent(part: number, whole: number): string {
  if (whole <= 0) return '–'
  const share = (100 * part) / whole
  if (share > 0 && share < 0.1) return '<0.1 %'
  return `${share >= 99.95 ? '100' : share.toFixed(1)} %`
}

/** How the API's units are written behind a figure; what is counted stands in the metric's name. */
const units: Record<string, string> = { 'bit/s': 'bit/s', bytes: 'B', 'bytes/packet': 'B', 'packet/s': '/s', 'flow/s': '/s' }

export const unitName = (unit: string): string => units[unit] ?? ''

/** figure writes a report's value in its unit. */
export const figure = (value: number, unit: string): string => si(value, unitName(unit))

/** niceStep is the least of 1, 2, 2.5, 5 × 10ⁿ that cuts the span into at most `parts`. */
export function niceStep(span: number, parts: number): number {
  if (!(span > 0)) return 1
  const power = 10 ** Math.floor(Math.log10(span / parts))
  for (const m of [1, 2, 2.5, 5]) if (m * power * parts >= span) return m * power
  return 10 * power
}

const two = (n: number) => String(n).padStart(2, '0')

export function clock(t: Date, seconds = true): string {
  const { hour, minute, second } = parts(t)
  return `${two(hour)}:${two(minute)}${seconds ? `:${two(second)}` : ''}`
}

export function day(t: Date): string {
  const { year, month, day } = parts(t)
  return `${year}-${two(month)}-${two(day)}`
}

/** tick labels a time on an axis: midnight is the day that begins. */
export function tick(t: Date): string {
  const { hour, minute, second } = parts(t)
  if (hour === 0 && minute === 0 && second === 0) return day(t).slice(5)
  return clock(t, second !== 0)
}

/** moment writes a date and time, the date only when it isn't today's. */
export function moment(t: Date, now = new Date()): string {
  return day(t) === day(now) ? clock(t) : `${day(t)} ${clock(t, parts(t).second !== 0)}`
}
