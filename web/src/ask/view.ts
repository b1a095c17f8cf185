// The one View of this page, tied to the address bar: setting it writes
// history, back and forward set it.

import { readonly, shallowRef } from 'vue'
import { format, parse, type Range, type View } from './state'

const current = shallowRef<View>(parse(location.search))
const zoomedFrom: Range[] = []

export const view = readonly(current) as Readonly<typeof current>

/** change applies a part of the view as one step of history. */
export function change(part: Partial<View>): void {
  const next = { ...current.value, ...part }
  const search = format(next)
  if (search === format(current.value)) return
  current.value = next
  history.pushState(null, '', location.pathname + search)
}

export function zoomTo(from: number, to: number): void {
  zoomedFrom.push(current.value.range)
  change({ range: { from, to } })
}

/** zoomBack undoes the last zoom; without one it steps back from the range to twice its width. */
export function zoomBack(now: number): void {
  const before = zoomedFrom.pop()
  if (before) return change({ range: before })
  const { range } = current.value
  if ('last' in range) return
  const half = (range.to - range.from) / 2
  const to = Math.min(range.to + half, Math.max(now, range.to))
  change({ range: { from: to - 4 * half, to } })
}

addEventListener('popstate', () => {
  zoomedFrom.length = 0
  current.value = parse(location.search)
})
