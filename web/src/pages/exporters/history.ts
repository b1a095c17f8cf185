// What the history of an exporter says, in the form that its page draws: rates
// a second, clocks, and what happened when.

import type { DomainHistory, ExporterHistory, History } from '@/ask/quality'
import type { Values } from '@/chart/lines'

export const timesOf = (h: History): number[] => h.ran.map((_, i) => Date.parse(h.from) + 1000 * h.step * i)

/** perSecond are counts of points as rates; nothing where no collector ran. The newest point may have just begun. */
export function perSecond(h: History, counts: readonly number[], now: number): (number | null)[] {
  const begin = Date.parse(h.from)
  return counts.map((n, i) => {
    if (!h.ran[i]) return null
    const seconds = Math.min(h.step, (now - begin) / 1000 - i * h.step)
    return seconds < Math.min(45, h.step) ? null : n / seconds
  })
}

/** missingShare is the part of what was sent that never came, by point. */
export const missingShare = (h: History, d: Pick<DomainHistory, 'units' | 'missing'>): (number | null)[] =>
  d.missing.map((missing, i) => {
    const sent = d.units[i]! + Math.max(0, missing)
    return h.ran[i] && sent > 0 ? Math.max(0, missing) / sent : null
  })

export const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0)

/** added are series of all domains as one. */
export const added = (all: readonly (readonly number[])[]): number[] => (all[0] ?? []).map((_, i) => sum(all.map((one) => one[i]!)))

/** newest is the last value that is known. */
export function newest(values: Values): number | null {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null && values[i] !== undefined) return values[i]!
  return null
}

/** drift is how much a clock goes off, in ms a day: the slope of a straight line through its offsets; null of too few, or where it is less than their scatter. */
export function drift(times: readonly number[], offsets: Values): number | null {
  const points = offsets.flatMap((offset, i) => (offset === null ? [] : [[times[i]! / 86_400_000, offset] as const]))
  const n = points.length
  if (n < 10) return null
  const [mx, my] = [sum(points.map(([x]) => x)) / n, sum(points.map(([, y]) => y)) / n]
  const xx = sum(points.map(([x]) => (x - mx) ** 2))
  const slope = sum(points.map(([x, y]) => (x - mx) * (y - my))) / xx
  const rest = sum(points.map(([x, y]) => (y - my - slope * (x - mx)) ** 2)) / (n - 2)
  return Math.abs(slope) > 3 * Math.sqrt(rest / xx) ? slope : null
}

export type EventKind = 'first' | 'lost' | 'restart' | 'templates' | 'malformed' | 'kernel'

/** Something that happened to an exporter. */
export interface Event {
  kind: EventKind
  from: number
  to: number
  /** Of the server; what has none is said by the kind and the count. */
  words: string
  count: number
  /** Of the flows of that time; null where nobody knows. */
  share: number | null
}

/** eventsOf are what happened in the range, the newest first: losses as the server tells them, restarts, changes of templates, and when it was first heard. */
export function eventsOf(h: History, x: ExporterHistory | null): Event[] {
  const times = timesOf(h)
  const step = 1000 * h.step
  const events: Event[] = h.intervals
    .filter((one) => one.kind !== 'restart')
    .map((one) => ({ kind: one.kind === 'kernel_drops' ? ('kernel' as const) : ('lost' as const), from: Date.parse(one.from), to: Date.parse(one.to), words: one.words ?? one.kind, count: 0, share: one.share }))
  if (x) {
    const at = (kind: EventKind, counts: readonly number[]) =>
      counts.forEach((count, i) => {
        if (count > 0) events.push({ kind, from: times[i]!, to: times[i]! + step, words: '', count, share: null })
      })
    at('restart', added(x.domains.map((d) => d.restarts)))
    at('malformed', x.malformed)
    const heard = added(x.domains.map((d) => d.datagrams))
    const first = heard.findIndex((n) => n > 0)
    // Templates that come with the first datagram are no change.
    at('templates', x.template_changes.map((n, i) => (i === first ? 0 : n)))
    if (first > 0 && h.ran.slice(0, first).some((ran) => ran)) events.push({ kind: 'first', from: times[first]!, to: times[first]! + step, words: '', count: 1, share: null })
  }
  return events.sort((a, b) => b.from - a.from)
}
