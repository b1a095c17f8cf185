// The list of interfaces as rows: found, sorted, and as CSV.

import type { Port } from '@/ask/interfaces'
import { quiet } from '@/ask/proof'

export interface Row extends Port {
  id: string
  /** Of flows, the mean of the range; null where they tell nothing. */
  flowsIn: number | null
  flowsOut: number | null
  /** What is shown: counters where there are, else flows. */
  in: number | null
  out: number | null
  /** The greater of both directions, of the speed; null where that is not known. */
  use: number | null
  discards: number | null
  errors: number | null
}

export const idOf = (exporter: unknown, index: unknown): string => `${exporter} ${index}`

const sum = (a: number | null | undefined, b: number | null | undefined) => (a === null || a === undefined ? (b ?? null) : a + (b ?? 0))

/** rowsOf joins what interfaces count with what flows say of them, also of those that only flows know. */
export function rowsOf(ports: readonly Port[], ins: ReadonlyMap<string, number>, outs: ReadonlyMap<string, number>): Row[] {
  const known = new Map(ports.map((port) => [idOf(port.exporter, port.index), port]))
  for (const id of [...ins.keys(), ...outs.keys()]) {
    const [exporter, index] = id.split(' ') as [string, string]
    // ifIndex 0 is none: dropped, or for the device itself.
    if (!known.has(id) && /^[1-9]\d*$/.test(index)) known.set(id, { exporter, index: Number(index) })
  }
  return [...known].map(([id, port]) => {
    const [flowsIn, flowsOut] = [ins.get(id) ?? null, outs.get(id) ?? null]
    const [into, out] = [port.in_bps ?? flowsIn, port.out_bps ?? flowsOut]
    const most = Math.max(into ?? 0, out ?? 0)
    return {
      ...port, id, flowsIn, flowsOut, in: into, out,
      use: port.speed && (into !== null || out !== null) ? most / port.speed : null,
      discards: sum(port.in_discards_ps, port.out_discards_ps),
      errors: sum(port.in_errors_ps, port.out_errors_ps),
    }
  })
}

export const orders = ['name', 'exporter', 'role', 'speed', 'use', 'in', 'out', 'discards', 'errors', 'verdict'] as const
export type Order = (typeof orders)[number]

const wrong = (row: Row) => [row.in_verdict ?? '', row.out_verdict ?? ''].filter((verdict) => !quiet.includes(verdict)).length
const collator = new Intl.Collator('en', { numeric: true })

/** sorted puts the greatest first, names by the alphabet with their numbers as numbers; what is not known is last. */
export function sorted(rows: readonly Row[], by: Order, backwards: boolean): Row[] {
  const text: Partial<Record<Order, (row: Row) => string>> = { name: (row) => row.name || `if ${row.index}`, exporter: (row) => row.exporter, role: (row) => row.role ?? '' }
  const value: Partial<Record<Order, (row: Row) => number | null>> = {
    speed: (row) => row.speed || null, use: (row) => row.use, in: (row) => row.in, out: (row) => row.out, discards: (row) => row.discards, errors: (row) => row.errors, verdict: wrong,
  }
  const turn = backwards ? -1 : 1
  const compare = (a: Row, b: Row): number => {
    const words = text[by]
    if (words) return (words(a) === '' ? 1 : 0) - (words(b) === '' ? 1 : 0) || turn * collator.compare(words(a), words(b))
    const [x, y] = [value[by]!(a), value[by]!(b)]
    if (x === null || y === null) return (x === null ? 1 : 0) - (y === null ? 1 : 0)
    return turn * (y - x)
  }
  return rows.toSorted((a, b) => compare(a, b) || collator.compare(a.id, b.id))
}

/** found are the rows that have all words somewhere. */
export function found(rows: readonly Row[], typed: string, verdictName: (verdict: string) => string): Row[] {
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== '')
  const text = (row: Row) => [row.exporter, row.index, row.name, row.description, row.alias, row.role, row.in_verdict && verdictName(row.in_verdict), row.out_verdict && verdictName(row.out_verdict)].join(' ').toLowerCase()
  return rows.filter((row) => words.every((word) => text(row).includes(word)))
}

const columns = [
  'exporter', 'index', 'name', 'description', 'role', 'up', 'speed', 'utilisation', 'in_bps', 'out_bps', 'flow_in_bps', 'flow_out_bps',
  'in_discards_ps', 'out_discards_ps', 'in_errors_ps', 'out_errors_ps', 'in_verdict', 'out_verdict',
] as const

/** quoted is a field of RFC 4180; a text that a spreadsheet would compute is made text. */
const quoted = (value: unknown) => {
  const text = value === null || value === undefined ? '' : String(value)
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

export function csv(rows: readonly Row[]): string {
  const line = (row: Row) =>
    [row.exporter, row.index, row.name, row.description ?? row.alias, row.role, row.up, row.speed || null, row.use, row.in_bps, row.out_bps, row.flowsIn, row.flowsOut, row.in_discards_ps, row.out_discards_ps, row.in_errors_ps, row.out_errors_ps, row.in_verdict, row.out_verdict].map(quoted).join(',')
  return [columns.join(','), ...rows.map(line)].join('\r\n') + '\r\n'
}
