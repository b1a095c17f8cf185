// Asking for a report as a panel does: it is asked anew when its Spec, the
// page's filter or time changes, and when the page's pulse beats.

import { api, type ApiError, type Report, type Running } from './api'
import { useAnswer, type Answer } from './answer'
import { question, round, serverNow } from './live'
import { formatRange } from './state'
import { view } from './view'
import { router } from '@/router'
import { overTime, type Spec } from '@/panel/spec'
import { stepFor } from '@/chart/heatmap'
import { onScopeDispose, ref, watch, type Ref } from 'vue'

export interface Asking extends Answer<Report> {
  /** How far a question is that takes longer than a moment; null otherwise. */
  running: Readonly<Ref<Running | null>>
  stop: () => void
}

/** What of a report's question is not time. `filter` is the panel's own, beside the page's. */
export interface Ask {
  spec: Spec
  filter?: string
  /** A series is wanted although the chart is none over time, for figures such as the maximum. */
  series?: boolean
  /** The length of a series' points, where it is not the server's choice: a span such as 10s. */
  step?: string
  /** Each flow whole in the moment it ended, not spread over its time. */
  unspread?: boolean
}

let asked = 0
const patience = 700 // ms, after which it is worth saying how far a question is

/** parametersOf says a Spec as /api/report does. */
export function parametersOf({ spec, filter, series, step: asked, unspread }: Ask) {
  const { by, metric, chart, top, compare, mirror, hide, exact } = spec
  const { range } = view.value
  const [from, to] = 'last' in range ? [serverNow() - range.last, serverNow()] : [range.from, range.to]
  const step = asked ? asked : chart === 'heatmap' ? stepFor(from, to) : series || overTime(chart) ? 'auto' : ''
  // Of one router nothing counts twice but what it meters coming in and going out.
  const scope = view.value.scope === 'network' && router.currentRoute.value.meta.local ? 'once' : view.value.scope
  const filters = [view.value.filter, filter ?? ''].filter((text) => text !== '')
  return { by: by.join(','), metric, limit: top + hide, step, compare, mirror, exact, scope, raw: view.value.raw, filter: filters, ...(unspread ? { spread: 'false' } : {}) }
}

/** useReport asks while `ask` says something; null asks nothing. */
export function useReport(ask: () => Ask | null): Asking {
  const running = ref<Running | null>(null)
  const id = ref('')
  let timer: ReturnType<typeof setTimeout> | undefined

  const answer = useAnswer<Report>(() => {
    const what = ask()
    if (!question.value || !what) return null
    const parameters = parametersOf(what)
    const { from, to } = question.value
    return {
      identity: JSON.stringify([parameters, formatRange(view.value.range)]),
      time: `${round.value} ${from} ${to}`,
      send: (signal) => {
        id.value = `console-${Date.now().toString(36)}-${++asked}-${Math.random().toString(36).slice(2, 8)}`
        return api.report({ ...parameters, from, to, id: id.value }, signal)
      },
    }
  })

  async function watchProgress(): Promise<void> {
    try {
      running.value = await api.running(id.value, AbortSignal.timeout(5000))
    } catch {
      running.value = null // then nobody knows
    }
    if (answer.loading.value) timer = setTimeout(watchProgress, 500)
  }

  watch(answer.loading, (loading) => {
    clearTimeout(timer)
    running.value = null
    if (loading) timer = setTimeout(watchProgress, patience)
  }, { immediate: true })
  onScopeDispose(() => clearTimeout(timer))
  return { ...answer, running, stop: () => void fetch(`/api/questions/${encodeURIComponent(id.value)}`, { method: 'DELETE' }) }
}

export type { ApiError }
