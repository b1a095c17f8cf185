// The time zone in which the console writes times: this computer's, until the
// reader chooses another, which stays.

import { ref } from 'vue'

const known = new Set(Intl.supportedValuesOf('timeZone'))
const stored = localStorage.getItem('minamo.zone')

/** Null: this computer's. */
export const zone = ref<string | null>(stored && (stored === 'UTC' || known.has(stored)) ? stored : null)

/** Those that can be chosen, UTC first. */
export const zones: readonly string[] = ['UTC', ...[...known].filter((name) => name !== 'UTC')]

export function setZone(to: string | null): void {
  zone.value = to
  if (to) localStorage.setItem('minamo.zone', to)
  else localStorage.removeItem('minamo.zone')
}

const formats = new Map<string, Intl.DateTimeFormat>()

export interface Parts {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
}

/** parts cuts a time up in the chosen zone. */
export function parts(t: Date): Parts {
  if (!zone.value || Number.isNaN(t.getTime())) return { year: t.getFullYear(), month: t.getMonth() + 1, day: t.getDate(), hour: t.getHours(), minute: t.getMinutes(), second: t.getSeconds() }
  let format = formats.get(zone.value)
  if (!format) {
    format = new Intl.DateTimeFormat('en', { timeZone: zone.value, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' })
    formats.set(zone.value, format)
  }
  const out: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(t)) out[type] = Number(value)
  return out as unknown as Parts
}

/** timeOf is the moment that a wall clock in the chosen zone shows; in the hour that comes twice, the first. */
export function timeOf(text: string): number {
  if (!zone.value) return new Date(text).getTime()
  const wall = Date.parse(`${text}Z`)
  const offset = (at: number) => {
    const p = parts(new Date(at))
    return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(at / 1000) * 1000
  }
  const guess = wall - offset(wall)
  return wall - offset(guess)
}
