// The one View that pages share, tied to the address bar: setting it writes
// history, back and forward set it.

import { computed, shallowRef } from 'vue'
import { router } from '@/router'
import { format, formatRange, parse, type Parameters, type Range, type View } from './state'

/** The address's parameters, each once. */
export const parameters = computed<Parameters>(() =>
  Object.fromEntries(Object.entries(router.currentRoute.value.query).map(([name, value]) => [name, (Array.isArray(value) ? value[0] : value) ?? undefined])),
)

const last = shallowRef<View>(parse({}))
const zoomedFrom: Range[] = []

/** Keeps its identity while it says the same, so that nobody asks anew because of another parameter. */
export const view = computed<Readonly<View>>(() => {
  const next = parse(parameters.value)
  if (JSON.stringify(next) !== JSON.stringify(last.value)) last.value = next
  return last.value
})

/** set writes some of the address's parameters as one step of history; undefined takes one out. */
export function set(changes: Parameters): void {
  const next = { ...parameters.value, ...changes }
  if (Object.keys(changes).every((name) => changes[name] === parameters.value[name])) return
  void router.push({ query: Object.fromEntries(Object.entries(next).filter(([, value]) => value !== undefined && value !== '')) })
}

/** change applies a part of the view as one step of history. */
export const change = (part: Partial<View>): void => set(format({ ...view.value, ...part }))

/** carried is what of the address goes along to another page: time, and how things are counted, but not the filter. */
export const carried = computed<Parameters>(() => {
  const { filter: _, ...rest } = format(view.value)
  return rest
})

export function zoomTo(from: number, to: number): void {
  zoomedFrom.push(view.value.range)
  change({ range: { from, to } })
}

/** zoomBack undoes the last zoom; without one it steps back from the range to twice its width. */
export function zoomBack(now: number): void {
  const before = zoomedFrom.pop()
  if (before && formatRange(before) !== formatRange(view.value.range)) return change({ range: before })
  const { range } = view.value
  if ('last' in range) return
  const half = (range.to - range.from) / 2
  const to = Math.min(range.to + half, Math.max(now, range.to))
  change({ range: { from: to - 4 * half, to } })
}

addEventListener('popstate', () => (zoomedFrom.length = 0))
