import { beforeEach, expect, it } from 'vitest'
import { router } from '@/router'
import { parse } from './state'
import { carried, change, set, view, zoomBack, zoomTo } from './view'

const settled = () => new Promise((done) => setTimeout(done))

beforeEach(async () => {
  await router.replace('/explore')
  dispatchEvent(new PopStateEvent('popstate'))
  await settled()
})

it('writes each change into the address, once', async () => {
  const before = history.length
  change({ filter: 'proto tcp' })
  await settled()
  change({ filter: 'proto tcp' })
  await settled()
  expect(view.value.filter).toBe('proto tcp')
  expect(history.length).toBe(before + 1)
})

it('keeps what other pages and panels wrote there', async () => {
  set({ metric: 'pps' })
  await settled()
  change({ scope: 'once' })
  await settled()
  expect(router.currentRoute.value.query).toEqual({ metric: 'pps', scope: 'once' })
  set({ metric: undefined })
  await settled()
  expect(router.currentRoute.value.query).toEqual({ scope: 'once' })
})

it('follows the address', async () => {
  await router.push('/explore?range=7d')
  expect(view.value).toEqual(parse({ range: '7d' }))
})

it('takes the time along to another page, and leaves the filter', async () => {
  await router.push('/explore?range=7d&filter=port+53&metric=pps')
  expect(Object.entries(carried.value).filter(([, value]) => value)).toEqual([['range', '7d']])
})

it('goes back through zooms, then out', async () => {
  const [a, b] = [Date.parse('2026-11-23T00:00:00Z'), Date.parse('2026-11-23T01:00:00Z')]
  zoomTo(a, b)
  await settled()
  zoomTo(a + 60_000, b - 60_000)
  await settled()
  zoomBack(b)
  await settled()
  expect(view.value.range).toEqual({ from: a, to: b })
  zoomBack(b)
  await settled()
  expect(view.value.range).toEqual({ last: 86_400_000 })
  change({ range: { from: a, to: b } })
  await settled()
  zoomBack(b) // no later than now
  await settled()
  expect(view.value.range).toEqual({ from: b - 2 * (b - a), to: b })
})
