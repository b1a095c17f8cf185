// Rhythm: a day's hours across, days down; or, of a range too short for that,
// time across and the report's rows down.

import type { Report, ReportRow } from '@/ask/api'
import { clock, day, tick } from '@/words/format'
import { language } from '@/words/i18n'

export interface Cell {
  column: number
  line: number
  value: number
  from: number // ms
  to: number
}

export interface Heat {
  columns: string[] // labels; empty ones are not written
  lines: { name: string; row: ReportRow | null }[]
  cells: Cell[]
  most: number
}

const hour = 3_600_000
const mostBuckets = 5000 // that the server gives

/**
 * stepFor is the step to ask for: hours of the reader's clock, where the range
 * has days of them; the clocks of some places are half an hour off.
 */
export function stepFor(from: number, to: number): string {
  const offset = Math.abs(new Date(to).getTimezoneOffset()) % 60
  const minutes = offset === 0 ? 60 : offset % 30 === 0 ? 30 : 15
  return to - from >= 48 * hour && to - from < (mostBuckets - 2) * minutes * 60_000 ? `${minutes}m` : 'auto'
}

/** rhythmic tells whether a report is drawn as hours and days. */
export const rhythmic = (answer: Report): boolean => Date.parse(answer.to) - Date.parse(answer.from) >= 48 * hour && (answer.step_seconds ?? 0) * 1000 <= hour

/**
 * heatmap cuts a report's series into cells. Days and hours are the reader's.
 * Of hours and days it is the total's, or that of the row `only`. Before
 * `oldest` nothing is kept, and nothing is drawn.
 */
export function heatmap(answer: Report, now: number, name: (row: ReportRow) => string, only: ReportRow | null = null, oldest = -Infinity): Heat {
  const step = (answer.step_seconds ?? 0) * 1000
  const times = (answer.times ?? []).map((time) => Date.parse(time))
  const kept = (time: number) => time + step <= now && !(time + step <= oldest)
  return rhythmic(answer) ? rhythm(only ?? answer.total, times, step, kept) : rows(answer, times, step, kept, name)
}

/** rhythm means a row over each hour of each day; an hour that summer time doubles is one cell. */
function rhythm(row: ReportRow, times: number[], step: number, kept: (time: number) => boolean): Heat {
  const sums = new Map<string, { sum: number; n: number; from: number; to: number }>()
  const days: string[] = []
  times.forEach((time, i) => {
    if (!kept(time)) return
    const at = new Date(time)
    const date = day(at)
    if (!days.includes(date)) days.push(date)
    const id = `${date} ${Number(clock(at, false).slice(0, 2))}`
    const cell = sums.get(id) ?? { sum: 0, n: 0, from: time, to: time }
    cell.sum += row.values?.[i] ?? 0
    cell.n++
    cell.to = time + step
    sums.set(id, cell)
  })
  const cells = [...sums].map(([id, { sum, n, from, to }]): Cell => {
    const [date, at] = id.split(' ')
    return { column: Number(at), line: days.indexOf(date!), value: sum / n, from, to }
  })
  return {
    columns: Array.from({ length: 24 }, (_, h) => (h % 3 === 0 ? `${h}:00` : '')),
    lines: days.map((date) => ({ name: `${weekday(date)} ${date.slice(5)}`, row: null })),
    cells,
    most: greatest(cells),
  }
}

const weekday = (date: string) => new Intl.DateTimeFormat(language.value, { weekday: 'short' }).format(new Date(`${date}T12:00`))

/** rows has each row of the report in a line; neighbouring buckets are joined until there are at most 96. */
function rows(answer: Report, all: number[], step: number, kept: (time: number) => boolean, name: (row: ReportRow) => string): Heat {
  const times = all.filter(kept)
  const skipped = all.findIndex(kept)
  const full = times.length
  const join = Math.max(1, Math.ceil(full / 96))
  const columns = Math.ceil(full / join)
  const lines = answer.rows.map((row) => ({ name: name(row), row }))
  const cells: Cell[] = []
  answer.rows.forEach((row, line) => {
    for (let column = 0; column < columns; column++) {
      const first = column * join
      const end = Math.min(full, first + join)
      const values = (row.values ?? []).slice(skipped + first, skipped + end)
      cells.push({ column, line, value: values.reduce((a, b) => a + b, 0) / Math.max(1, values.length), from: times[first]!, to: times[end - 1]! + step })
    }
  })
  const every = Math.max(1, Math.round(columns / 8))
  return { columns: Array.from({ length: columns }, (_, c) => (c % every === 0 ? tick(new Date(times[c * join]!)) : '')), lines, cells, most: greatest(cells) }
}

const greatest = (cells: Cell[]) => cells.reduce((most, cell) => Math.max(most, cell.value), 0)
