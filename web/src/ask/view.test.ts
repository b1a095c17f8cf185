import { beforeEach, expect, it } from 'vitest'
import { parse } from './state'
import { change, view, zoomBack, zoomTo } from './view'

beforeEach(() => {
  history.replaceState(null, '', '/')
  dispatchEvent(new PopStateEvent('popstate'))
})

it('writes each change into the address, once', () => {
  const before = history.length
  change({ filter: 'proto tcp' })
  change({ filter: 'proto tcp' })
  expect(location.search).toBe('?filter=proto+tcp')
  expect(history.length).toBe(before + 1)
})

it('follows back and forward', () => {
  change({ metric: 'packets' })
  history.replaceState(null, '', '/?metric=flows')
  dispatchEvent(new PopStateEvent('popstate'))
  expect(view.value).toEqual(parse('?metric=flows'))
})

it('goes back through zooms, then out', () => {
  const [a, b] = [Date.parse('2026-11-23T00:00:00Z'), Date.parse('2026-11-23T01:00:00Z')]
  zoomTo(a, b)
  zoomTo(a + 60_000, b - 60_000)
  zoomBack(b)
  expect(view.value.range).toEqual({ from: a, to: b })
  zoomBack(b)
  expect(view.value.range).toEqual({ last: 900_000 })
  zoomBack(b)
  expect(view.value.range).toEqual({ last: 900_000 })

  change({ range: { from: a, to: b } })
  zoomBack(b) // no later than now
  expect(view.value.range).toEqual({ from: b - 2 * (b - a), to: b })
})
