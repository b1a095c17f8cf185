// From the rows of a report by several dimensions to columns of nodes with
// ribbons between them, in a box of a given size.

import type { Key, Report, ReportRow } from '@/ask/api'

export interface Node {
  id: string
  column: number
  name: string
  value: number
  /** The part of a row's key that it stands for; null is the thin ones together. */
  key: Key | null
  /** How many values it stands for. */
  many: number
  x: number
  y: number
  height: number
}

export interface Link {
  row: ReportRow
  from: Node
  to: Node
  value: number
  y0: number
  y1: number
  height: number
}

export interface Flow {
  nodes: Node[]
  links: Link[]
}

/** The labels of a row, one for each dimension: the server joins them with commas. */
function parts(row: ReportRow, by: string[]): string[] {
  const pieces = row.label.split(', ')
  if (pieces.length === by.length) return pieces
  return by.map((name) => String(row.key?.[name] ?? '–'))
}

/** A node at least so high has a name that can be read. */
const thin = 12

/**
 * sankey lays the rows out from left to right. Where a column's nodes are many,
 * the gaps between them shrink; a node has its rows in one order on both sides,
 * so that ribbons of one row join. Nodes too thin to be told apart are one, at
 * the column's end.
 */
export function sankey(answer: Report, width: number, height: number, nodeWidth = 10, gap = 8): Flow {
  const columns = answer.by.length
  const nodes = new Map<string, Node>()
  const paths = answer.rows.map((row) => {
    const names = parts(row, answer.by)
    return {
      row,
      through: answer.by.map((name, column) => {
        const id = `${column} ${JSON.stringify(row.key?.[name] ?? null)}`
        const node = nodes.get(id) ?? { id, column, name: names[column]!, value: 0, key: { [name]: row.key?.[name] ?? null }, many: 1, x: 0, y: 0, height: 0 }
        node.value += row.value
        nodes.set(id, node)
        return node
      }),
    }
  })
  const whole = answer.rows.reduce((sum, row) => sum + row.value, 0)
  if (whole <= 0 || columns < 2) return { nodes: [], links: [] }

  const rough = (0.75 * height) / whole // the scale, about
  const byColumn = Array.from({ length: columns }, (_, column) => {
    const list = [...nodes.values()].filter((node) => node.column === column).sort((a, b) => b.value - a.value)
    const small = list.filter((node, i) => i >= 3 && node.value * rough < thin)
    if (small.length < 2) return list
    const rest: Node = { id: `${column} rest`, column, name: '', value: small.reduce((sum, node) => sum + node.value, 0), key: null, many: small.length, x: 0, y: 0, height: 0 }
    for (const path of paths) if (small.includes(path.through[column]!)) path.through[column] = rest
    return [...list.filter((node) => !small.includes(node)), rest]
  })
  const crowd = Math.max(...byColumn.map((list) => list.length))
  const space = Math.min(gap, (0.4 * height) / Math.max(1, crowd - 1))
  const scale = (height - space * (crowd - 1)) / whole
  byColumn.forEach((list, column) => {
    let y = (height - list.reduce((sum, node) => sum + node.value * scale, space * (list.length - 1))) / 2
    for (const node of list) {
      node.x = (column * (width - nodeWidth)) / (columns - 1)
      node.y = y
      node.height = node.value * scale
      y += node.height + space
    }
  })

  const links: Link[] = []
  for (let column = 0; column + 1 < columns; column++) {
    const used = { out: new Map<Node, number>(), in: new Map<Node, number>() }
    const here = paths.map(({ row, through }) => ({ row, from: through[column]!, to: through[column + 1]! }))
    const place = (node: Node, side: Map<Node, number>, thick: number) => {
      const y = side.get(node) ?? node.y
      side.set(node, y + thick)
      return y
    }
    here.sort((a, b) => a.from.y - b.from.y || a.to.y - b.to.y)
    const drawn = here.map(({ row, from, to }) => ({ row, from, to, value: row.value, height: row.value * scale, y0: place(from, used.out, row.value * scale), y1: 0 }))
    for (const link of [...drawn].sort((a, b) => a.to.y - b.to.y || a.from.y - b.from.y)) link.y1 = place(link.to, used.in, link.height)
    links.push(...drawn)
  }
  return { nodes: byColumn.flat(), links }
}

/** ribbon is a link's outline. */
export function ribbon(link: Link, nodeWidth = 10): string {
  const x0 = link.from.x + nodeWidth
  const x1 = link.to.x
  const middle = (x0 + x1) / 2
  const { y0, y1, height } = link
  const thick = Math.max(0.5, height)
  return `M${x0},${y0} C${middle},${y0} ${middle},${y1} ${x1},${y1} L${x1},${y1 + thick} C${middle},${y1 + thick} ${middle},${y0 + thick} ${x0},${y0 + thick} Z`
}
