import { describe, expect, it } from 'vitest'
import type { Report, ReportRow } from '@/ask/api'
import { heatmap } from './heatmap'
import { ribbon, sankey } from './sankey'
import { squarify, treemap } from './treemap'

const row = (key: Record<string, string | number>, value: number, values: number[] = []): ReportRow => ({
  key, label: Object.values(key).join(', '), value, values, flows: 1, packets: 1, bytes: 1, share: 0, sampling_error: 0,
})
const meta = { question: '', tables: [], segments: 0, damaged: 0, rows_scanned: 0, milliseconds: 0, waited_milliseconds: 0, cached: false, sql: '', command: '' }
const report = (by: string[], rows: ReportRow[], more: Partial<Report> = {}): Report => ({
  by, rows, metric: 'bps', unit: 'bit/s', from: '', to: '', other: null, other_groups: 0, exact: true, meta, total: row({}, rows.reduce((sum, r) => sum + r.value, 0)), ...more,
})

describe('a sankey', () => {
  const flow = sankey(report(['src_as', 'dst_as'], [row({ src_as: 1, dst_as: 2 }, 60), row({ src_as: 1, dst_as: 3 }, 20), row({ src_as: 2, dst_as: 3 }, 20)]), 400, 200)

  it('has a node for each value of each column, as tall as what passes', () => {
    expect(flow.nodes.map((n) => [n.column, n.name, n.value])).toEqual([[0, '1', 80], [1, '2', 60], [1, '3', 40], [0, '2', 20]])
    const [one, two] = flow.nodes
    expect(one!.height / two!.height).toBeCloseTo(80 / 60)
  })

  it('fills its nodes with ribbons that do not overlap', () => {
    for (const node of flow.nodes) {
      const side = flow.links.filter((l) => l.from === node).map((l) => [l.y0, l.height]).concat(flow.links.filter((l) => l.to === node).map((l) => [l.y1, l.height]))
      side.sort((a, b) => a[0]! - b[0]!)
      let y = node.y
      for (const [at, height] of side) {
        expect(at).toBeCloseTo(y)
        y += height!
      }
      expect(y).toBeCloseTo(node.y + node.height)
    }
  })

  it('stays in its box', () => {
    for (const node of flow.nodes) {
      expect(node.y).toBeGreaterThanOrEqual(-1e-9)
      expect(node.y + node.height).toBeLessThanOrEqual(200 + 1e-9)
    }
    expect(ribbon(flow.links[0]!)).toMatch(/^M10,/)
  })

  it('is empty where nothing flows', () => expect(sankey(report(['a', 'b'], []), 10, 10)).toEqual({ nodes: [], links: [] }))
})

describe('a treemap', () => {
  it('shares out the whole box', () => {
    const boxes = squarify([6, 6, 4, 3, 2, 2, 1], { x: 0, y: 0, width: 60, height: 40 })
    expect(boxes.map((b) => Math.round(b.width * b.height))).toEqual([600, 600, 400, 300, 200, 200, 100])
    expect(Math.max(...boxes.map((b) => b.x + b.width))).toBeCloseTo(60)
    expect(Math.max(...boxes.map((b) => b.y + b.height))).toBeCloseTo(40)
  })

  it('has the inner dimension within the outer, and Other beside', () => {
    const tiles = treemap(report(['site', 'app'], [row({ site: 'A', app: 'x' }, 50), row({ site: 'A', app: 'y' }, 30), row({ site: 'B', app: 'x' }, 10)], { other: row({}, 10) }), { x: 0, y: 0, width: 300, height: 200 })
    expect(tiles.map((tile) => [tile.depth, tile.name, tile.value])).toEqual([[0, 'A', 80], [1, 'x', 50], [1, 'y', 30], [0, 'B', 10], [1, 'x', 10], [0, '', 10]])
    const [a, x] = tiles
    expect(x!.x).toBeGreaterThan(a!.x)
    expect(x!.x + x!.width).toBeLessThan(a!.x + a!.width)
  })

  it('bears values of nothing', () => expect(squarify([0, 0], { x: 0, y: 0, width: 9, height: 9 }).map((b) => b.width)).toEqual([0, 0]))
})

describe('a heatmap', () => {
  const from = Date.UTC(2026, 10, 20)
  const times = (n: number, step: number) => Array.from({ length: n }, (_, i) => new Date(from + i * step).toISOString())

  it('has days and hours where the range has days', () => {
    const n = 72 * 2
    const answer = report(['app'], [], { from: times(1, 1)[0]!, to: new Date(from + 72 * 3_600_000).toISOString(), step_seconds: 1800, times: times(n, 1_800_000), total: row({}, 0, Array.from({ length: n }, (_, i) => i)) })
    const heat = heatmap(answer, Infinity, () => '')
    expect(heat.cells.length).toBe(72)
    expect(heat.columns.length).toBe(24)
    expect(heat.cells[0]!.value).toBe(0.5)
    expect(heat.most).toBe(142.5)
  })

  it('has rows and times otherwise, joined where they are many', () => {
    const answer = report(['app'], [row({ app: 'x' }, 1, Array.from({ length: 200 }, () => 4))], { from: times(1, 1)[0]!, to: new Date(from + 200 * 60_000).toISOString(), step_seconds: 60, times: times(200, 60_000) })
    const heat = heatmap(answer, Infinity, (r) => r.label)
    expect(heat.lines.map((line) => line.name)).toEqual(['x'])
    expect(heat.cells.length).toBe(67)
    expect(heat.cells.every((cell) => cell.value === 4)).toBe(true)
  })
})
