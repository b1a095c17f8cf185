import { expect, it } from 'vitest'
import { parseSpec } from '@/panel/spec'
import { move, overview, parametersOf, slug } from './board'

it('has an overview that says what it means', () => {
  for (const panel of overview.panels) {
    const parameters = parametersOf(panel.view)
    if (parameters.widget) continue
    expect(parseSpec(parameters).by).toEqual(parameters.by!.split(','))
  }
  expect(new Set(overview.panels.map((panel) => panel.id)).size).toBe(overview.panels.length)
})

it('moves panels', () => {
  const ids = (panels: { id: string }[]) => panels.slice(0, 3).map((panel) => panel.id)
  expect(ids(move(overview.panels, 'sources', 'traffic'))).toEqual(['sources', 'traffic', 'applications'])
  expect(move(overview.panels, 'traffic', null).at(-1)!.id).toBe('traffic')
  expect(move(overview.panels, 'traffic', 'traffic')).toBe(overview.panels)
  expect(move(overview.panels, 'traffic', 'gone')).toBe(overview.panels)
  expect(move(overview.panels, 'gone', 'traffic')).toBe(overview.panels)
})

it('makes names of titles', () => {
  expect(slug('  Tokyo, edge & IX ')).toBe('tokyo-edge-ix')
  expect(slug('東京')).toMatch(/^board-/)
})
