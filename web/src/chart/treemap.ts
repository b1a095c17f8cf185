// Areas in proportion to values, as near to squares as can be (squarified
// treemaps, Bruls, Huizing, van Wijk 2000); the report's dimensions in their
// order make the hierarchy.

import type { Key, Report, ReportRow } from '@/ask/api'

export interface Box {
  x: number
  y: number
  width: number
  height: number
}

export interface Tile extends Box {
  name: string
  value: number
  depth: number
  row: ReportRow | null // null: a group of rows, or what is left out
  key: Key | null // of its own dimension; null is what is left out
  outer: Key | null // of the group it lies in, which gives the colour
}

/** squarify divides a box among values, the greatest first. */
export function squarify(values: number[], box: Box): Box[] {
  const whole = values.reduce((sum, value) => sum + value, 0)
  const out: Box[] = []
  if (whole <= 0) return values.map(() => ({ ...box, width: 0, height: 0 }))
  let { x, y, width, height } = box
  const areas = values.map((value) => (value / whole) * width * height)
  for (let i = 0; i < areas.length; ) {
    const short = Math.min(width, height)
    let row = [areas[i]!]
    let sum = areas[i]!
    const worst = (list: number[], total: number) => {
      const side = total / short
      return Math.max(...list.map((area) => Math.max(side / (area / side), area / side / side)))
    }
    while (i + row.length < areas.length && areas[i + row.length]! > 0) {
      const next = areas[i + row.length]!
      if (worst([...row, next], sum + next) > worst(row, sum)) break
      row = [...row, next]
      sum += next
    }
    const side = short > 0 ? sum / short : 0
    let at = 0
    for (const area of row) {
      const length = side > 0 ? area / side : 0
      out.push(width >= height ? { x, y: y + at, width: side, height: length } : { x: x + at, y, width: length, height: side })
      at += length
    }
    if (width >= height) {
      x += side
      width -= side
    } else {
      y += side
      height -= side
    }
    i += row.length
  }
  return out
}

interface Branch {
  name: string
  key: Key
  value: number
  rows: ReportRow[]
}

/** otherIsDrawn: not where it is most of all, and would leave no room for what was asked for. */
export const otherIsDrawn = (answer: Report): boolean => (answer.other?.value ?? 0) > 0 && answer.other!.value <= answer.total.value / 2

/** treemap makes tiles: those of the outer dimensions carry their inner ones. */
export function treemap(answer: Report, box: Box, label = 16): Tile[] {
  const divide = (rows: ReportRow[], depth: number, into: Box, within: Key | null): Tile[] => {
    const name = answer.by[depth]!
    const branches = new Map<string, Branch>()
    for (const row of rows) {
      const id = JSON.stringify(row.key?.[name] ?? null)
      const pieces = row.label.split(', ')
      const text = pieces.length === answer.by.length ? pieces[depth]! : answer.by.length === 1 ? row.label : String(row.key?.[name] ?? '–')
      const branch = branches.get(id) ?? { name: text, key: { [name]: row.key?.[name] ?? null }, value: 0, rows: [] }
      branch.value += row.value
      branch.rows.push(row)
      branches.set(id, branch)
    }
    const list = [...branches.values()].sort((a, b) => b.value - a.value)
    const rest = depth === 0 && otherIsDrawn(answer) ? answer.other!.value : 0
    const boxes = squarify([...list.map((branch) => branch.value), ...(rest > 0 ? [rest] : [])], into)
    const last = depth === answer.by.length - 1
    const tiles = list.flatMap((branch, i): Tile[] => {
      const mine = boxes[i]!
      const tile: Tile = { ...mine, name: branch.name, value: branch.value, depth, row: last ? branch.rows[0]! : null, key: branch.key, outer: within ?? branch.key }
      const inner = { x: mine.x + 2, y: mine.y + label, width: mine.width - 4, height: mine.height - label - 2 }
      return last || inner.width < 8 || inner.height < 8 ? [tile] : [tile, ...divide(branch.rows, depth + 1, inner, tile.outer)]
    })
    const other = boxes[list.length]
    return other ? [...tiles, { ...other, name: '', value: rest, depth, row: null, key: null, outer: null }] : tiles
  }
  return answer.by.length > 0 && answer.rows.length > 0 ? divide(answer.rows, 0, box, null) : []
}
