// What every page shares, as one value, and its form in the address bar. The
// address is a promise: links stay valid, so names here don't change meaning
// (docs/console.md lists them all). A page's own parameters stand beside.
//
//   range    15m 1h 6h 24h 7d …, or FROM..TO in RFC 3339      (24h)
//   filter   text of the filter language                      (none)
//   scope    all, ingress, egress, once, network              (all)
//   raw      1: as exported, not scaled by sampling rates     (scaled)
//   refresh  seconds between refreshes, 0 for none            (30)

export type Range = { last: number } | { from: number; to: number }

export const scopes = ['all', 'ingress', 'egress', 'once', 'network'] as const
export const refreshes = [5, 10, 30, 60, 0] as const
export const presets = ['5m', '15m', '1h', '6h', '24h', '7d', '30d'] as const

export interface View {
  range: Range
  filter: string
  scope: (typeof scopes)[number]
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

/** oneOf reads a word that has to be one of a few; else it is the first, or the given one. */
export function oneOf<T extends string | number>(allowed: readonly T[], given: string | undefined, standard = allowed[0]!): T {
  return allowed.find((value) => String(value) === given) ?? standard
}

/** Parameters of an address, as the router has them. */
export type Parameters = Record<string, string | undefined>

/** parse never fails: what it can't read becomes the default. */
export function parse(q: Parameters): View {
  return {
    range: parseRange(q.range ?? '') ?? { last: 24 * 3_600_000 },
    filter: (q.filter ?? '').trim(),
    scope: oneOf(scopes, q.scope),
    raw: q.raw === '1' || q.raw === 'true',
    refresh: oneOf(refreshes, q.refresh, 30),
  }
}

/** format writes only what differs from the defaults: short links. */
export function format(view: View): Parameters {
  return differing(
    { range: formatRange(view.range), filter: view.filter, scope: view.scope, raw: view.raw ? '1' : '', refresh: String(view.refresh) },
    { range: '24h', filter: '', scope: 'all', raw: '', refresh: '30' },
  )
}

/** differing leaves undefined, and so out of an address, what is as usual. */
export const differing = <P extends Record<string, string>>(given: P, usual: P): Parameters =>
  Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value === usual[name] ? undefined : value]))
