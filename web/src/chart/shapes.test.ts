import { afterEach, describe, expect, it } from 'vitest'
import type { Report, ReportRow } from '@/ask/api'
import { heatmap, rhythmic, stepFor } from './heatmap'
import { outer } from './colours'
import { short } from './pointing'
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
    expect(flow.nodes.map((n) => [n.column, n.name, n.value])).toEqual([[0, '1', 80], [0, '2', 20], [1, '2', 60], [1, '3', 40]])
    const [one, , two] = flow.nodes
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

  it('joins what is too thin to be told apart', () => {
    const rows = [row({ a: 1, b: 1 }, 1000), ...Array.from({ length: 30 }, (_, i) => row({ a: 1, b: i + 2 }, 1))]
    const { nodes, links } = sankey(report(['a', 'b'], rows), 400, 200)
    expect(nodes.map((n) => [n.column, n.name, n.many, n.value])).toEqual([[0, '1', 1, 1030], [1, '1', 1, 1000], [1, '2', 1, 1], [1, '3', 1, 1], [1, '', 28, 28]])
    expect(links.length).toBe(31) // each row still has its path
    expect(links.filter((l) => l.to.many > 1).length).toBe(28)
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
    const tiles = treemap(report(['site', 'app'], [row({ site: 'A', app: 'x' }, 50), row({ site: 'A', app: 'y' }, 30), row({ site: 'B', app: 'x' }, 10)], { other: row({}, 10), total: row({}, 100) }), { x: 0, y: 0, width: 300, height: 200 })
    expect(tiles.map((tile) => [tile.depth, tile.name, tile.value])).toEqual([[0, 'A', 80], [1, 'x', 50], [1, 'y', 30], [0, 'B', 10], [1, 'x', 10], [0, '', 10]])
    const [a, x] = tiles
    expect(x!.x).toBeGreaterThan(a!.x)
    expect(x!.x + x!.width).toBeLessThan(a!.x + a!.width)
  })

  it('leaves out an Other that would be most of it', () => {
    const most = report(['app'], [row({ app: 'x' }, 4)], { other: row({}, 6), total: row({}, 10) })
    expect(treemap(most, { x: 0, y: 0, width: 30, height: 20 }).map((tile) => [tile.name, tile.width])).toEqual([['x', 30]])
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

  it('begins where something is kept', () => {
    const answer = report(['app'], [row({ app: 'x' }, 1, [0, 0, 5, 7])], { from: times(1, 1)[0]!, to: new Date(from + 4 * 60_000).toISOString(), step_seconds: 60, times: times(4, 60_000) })
    const heat = heatmap(answer, from + 3.5 * 60_000, (r) => r.label, null, from + 120_000)
    expect(heat.cells.map((c) => [c.column, c.value, c.from])).toEqual([[0, 5, from + 120_000]])
  })

  describe('in the reader\'s time', () => {
    const zone = process.env.TZ
    afterEach(() => void (process.env.TZ = zone))
    const hours = (begin: number, n: number, step = 3_600_000) => {
      const all = Array.from({ length: n }, (_, i) => begin + i * step)
      const values = all.map((_, i) => i)
      return report([], [], { from: new Date(begin).toISOString(), to: new Date(begin + n * step).toISOString(), step_seconds: step / 1000, times: all.map((t) => new Date(t).toISOString()), total: row({}, 0, values) })
    }
    const lineOf = (answer: Report, line: number) => heatmap(answer, Infinity, () => '').cells.filter((c) => c.line === line)

    it('has 23 hours where the clock goes forward, and a cell of two where it goes back', () => {
      process.env.TZ = 'Europe/Berlin'
      const spring = lineOf(hours(Date.UTC(2026, 2, 28, 23), 48), 0) // from midnight of the 29th
      expect(spring.map((c) => c.column)).toEqual([0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
      const autumn = lineOf(hours(Date.UTC(2026, 9, 24, 22), 49), 0) // from midnight of the 25th
      expect(autumn.length).toBe(24)
      expect(autumn[2]).toMatchObject({ column: 2, value: 2.5, to: Date.UTC(2026, 9, 25, 2) })
    })

    it('asks for parts of hours where the clock is between them', () => {
      const ask = (days: number) => stepFor(from, from + days * 86_400_000)
      process.env.TZ = 'UTC'
      expect([ask(1), ask(2), ask(7), ask(1000)]).toEqual(['auto', '60m', '60m', 'auto'])
      process.env.TZ = 'Asia/Kolkata'
      expect(ask(7)).toBe('30m')
      const midnight = Date.UTC(2026, 10, 19, 18, 30)
      expect(lineOf(hours(midnight, 96, 1_800_000), 0).map((c) => [c.column, c.value]).slice(0, 2)).toEqual([[0, 0.5], [1, 2.5]])
      process.env.TZ = 'Asia/Kathmandu'
      expect(ask(7)).toBe('15m')
    })

    it('shows the row that is asked for', () => {
      const answer = hours(from, 48)
      expect(rhythmic(answer)).toBe(true)
      expect(heatmap(answer, Infinity, () => '', row({ app: 'x' }, 0, Array.from({ length: 48 }, () => 3))).most).toBe(3)
    })
  })
})

it('cuts names to a width, wide letters counted as such', () => {
  expect(short('short', 100)).toBe('short')
  expect(short('x'.repeat(80), 68)).toBe('xxxxxxxxx…')
  expect(short('水面のネットワーク', 60)).toBe('水面のネ…')
  expect(short('abcdef', 10)).toBe('')
})

it('colours a hierarchy by its first dimension', () => {
  expect(outer(['a', 'b'], { a: 1, b: 2 })).toEqual({ a: 1 })
  expect(outer(['a'], { a: 1 })).toEqual({ a: 1 })
})
