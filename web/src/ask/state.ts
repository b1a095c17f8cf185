// What the page shows, as one value, and its form in the address bar. The
// address is a promise: links stay valid, so names here don't change meaning.
//
//   range    5m 15m 1h 6h 24h 7d …, or FROM..TO in RFC 3339   (15m)
//   filter   text of the filter language                      (none)
//   by       dimension of the time series                     (protocol)
//   metric   bytes, packets, flows                            (bytes)
//   talkers  src_addr, dst_addr, or src_addr,dst_addr         (src_addr)
//   raw      1: as exported, not scaled by sampling rates     (scaled)
//   refresh  seconds between refreshes, 0 for none            (10)

import type { Metric } from './api'

export type Range = { last: number } | { from: number; to: number }

export const seriesDimensions = ['protocol', 'app', 'exporter', 'src_as', 'dst_as'] as const
export const talkerDimensions = ['src_addr', 'dst_addr', 'src_addr,dst_addr'] as const
export const metrics = ['bytes', 'packets', 'flows'] as const
export const refreshes = [5, 10, 30, 0] as const
export const presets = ['5m', '15m', '1h', '6h', '24h', '7d'] as const

export interface View {
  range: Range
  filter: string
  by: (typeof seriesDimensions)[number]
  metric: Metric
  talkers: (typeof talkerDimensions)[number]
  raw: boolean
  refresh: (typeof refreshes)[number]
}

const unitMilliseconds: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function parseRange(text: string): Range | null {
  const relative = /^(\d{1,5})([smhd])$/.exec(text)
  if (relative) {
    const last = Number(relative[1]) * unitMilliseconds[relative[2]!]!
    return last > 0 ? { last } : null
  }
  const [from, to, more] = text.split('..').map(Date.parse)
  if (more !== undefined || from === undefined || to === undefined) return null
  return from < to ? { from, to } : null // NaN is never less
}

export function formatRange(range: Range): string {
  if ('from' in range) return `${iso(range.from)}..${iso(range.to)}`
  // 24h is how people say it; longer spans are days.
  for (const unit of ['d', 'h', 'm'] as const) {
    const size = unitMilliseconds[unit]!
    if (range.last % size === 0 && !(unit === 'd' && range.last === size)) return `${range.last / size}${unit}`
  }
  return `${range.last / 1000}s`
}

export const iso = (milliseconds: number): string => new Date(milliseconds).toISOString().replace('.000Z', 'Z')

/** resolve gives a range its ends, by the server's clock. */
export function resolve(range: Range, now: number): { from: number; to: number } {
  if ('from' in range) return range
  const to = Math.ceil(now / 1000) * 1000
  return { from: to - range.last, to }
}

function oneOf<T extends string | number>(allowed: readonly T[], given: string | null): T {
  return allowed.find((value) => String(value) === given) ?? allowed[0]!
}

/** parse never fails: what it can't read becomes the default. */
export function parse(search: string): View {
  const q = new URLSearchParams(search)
  const refresh = q.get('refresh')
  return {
    range: parseRange(q.get('range') ?? '') ?? { last: 15 * 60_000 },
    filter: (q.get('filter') ?? '').trim(),
    by: oneOf(seriesDimensions, q.get('by')),
    metric: oneOf(metrics, q.get('metric')),
    talkers: oneOf(talkerDimensions, q.get('talkers')),
    raw: q.get('raw') === '1' || q.get('raw') === 'true',
    refresh: refresh === null ? 10 : oneOf(refreshes, refresh),
  }
}

/** format writes only what differs from the defaults: short links. */
export function format(view: View): string {
  const standard = parse('')
  const q = new URLSearchParams()
  const put = (name: string, value: string, normal: string) => {
    if (value !== normal) q.set(name, value)
  }
  put('range', formatRange(view.range), formatRange(standard.range))
  put('filter', view.filter, standard.filter)
  put('by', view.by, standard.by)
  put('metric', view.metric, standard.metric)
  put('talkers', view.talkers, standard.talkers)
  put('raw', view.raw ? '1' : '', '')
  put('refresh', String(view.refresh), String(standard.refresh))
  // Colons and commas need no escaping in a query, and read better without.
  const text = q.toString().replaceAll('%3A', ':').replaceAll('%2C', ',')
  return text === '' ? '' : `?${text}`
}
