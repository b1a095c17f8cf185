// Rhythm: a day's hours across, days down; or, of a range too short for that,
// time across and the report's rows down.

import type { Report, ReportRow } from '@/ask/api'
import { clock, day, tick } from '@/words/format'

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

/** heatmap cuts a report's series into cells. Days and hours are the reader's. */
export function heatmap(answer: Report, now: number, name: (row: ReportRow) => string): Heat {
  const step = (answer.step_seconds ?? 0) * 1000
  const times = (answer.times ?? []).map((time) => Date.parse(time))
  const span = Date.parse(answer.to) - Date.parse(answer.from)
  return span >= 48 * hour && step <= hour ? rhythm(answer, times, step, now) : rows(answer, times, step, now, name)
}

/** rhythm means the total over each hour of each day; an hour that summer time doubles is one cell. */
function rhythm(answer: Report, times: number[], step: number, now: number): Heat {
  const sums = new Map<string, { sum: number; n: number; from: number }>()
  const days: string[] = []
  times.forEach((time, i) => {
    if (time + step > now) return
    const at = new Date(time)
    const date = day(at)
    if (!days.includes(date)) days.push(date)
    const id = `${date} ${Number(clock(at, false).slice(0, 2))}`
    const cell = sums.get(id) ?? { sum: 0, n: 0, from: time }
    cell.sum += answer.total.values?.[i] ?? 0
    cell.n++
    sums.set(id, cell)
  })
  const cells = [...sums].map(([id, { sum, n, from }]): Cell => {
    const [date, at] = id.split(' ')
    return { column: Number(at), line: days.indexOf(date!), value: sum / n, from, to: from + hour }
  })
  return {
    columns: Array.from({ length: 24 }, (_, h) => (h % 3 === 0 ? `${h}:00` : '')),
    lines: days.map((date) => ({ name: date, row: null })),
    cells,
    most: greatest(cells),
  }
}

/** rows has each row of the report in a line; neighbouring buckets are joined until there are at most 96. */
function rows(answer: Report, times: number[], step: number, now: number, name: (row: ReportRow) => string): Heat {
  const full = times.filter((time) => time + step <= now).length
  const join = Math.max(1, Math.ceil(full / 96))
  const columns = Math.ceil(full / join)
  const lines = answer.rows.map((row) => ({ name: name(row), row }))
  const cells: Cell[] = []
  answer.rows.forEach((row, line) => {
    for (let column = 0; column < columns; column++) {
      const first = column * join
      const end = Math.min(full, first + join)
      const values = (row.values ?? []).slice(first, end)
      cells.push({ column, line, value: values.reduce((a, b) => a + b, 0) / Math.max(1, values.length), from: times[first]!, to: times[end - 1]! + step })
    }
  })
  const every = Math.max(1, Math.round(columns / 8))
  return { columns: Array.from({ length: columns }, (_, c) => (c % every === 0 ? tick(new Date(times[c * join]!)) : '')), lines, cells, most: greatest(cells) }
}

const greatest = (cells: Cell[]) => cells.reduce((most, cell) => Math.max(most, cell.value), 0)
