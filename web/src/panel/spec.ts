// What a panel asks and how it draws the answer, as one value, and its form in
// an address. Explore has one in the address bar; a report, a page's panel and
// a dashboard's are kept Specs. The names of the parameters are a promise
// (docs/console.md); what is as usual is left out.
//
//   by       dimensions, with commas, the first the coarsest  (protocol)
//   metric   as /api/fields lists                              (bps)
//   chart    one of charts                                     (area)
//   top      rows at most                                      (10)
//   compare  also so much earlier: 24h, 7d                     (none)
//   mirror   1: also the other direction, below the waterline  (no)
//   log      1: a logarithmic axis                             (no)
//   hide     so many of the greatest are left out: the small   (0)
//            then show
//   exact    1: from flows, where rollups know the heaviest    (no)

import { differing, oneOf, type Parameters } from '@/ask/state'

export const charts = ['area', 'share', 'lines', 'bars', 'sankey', 'heatmap', 'treemap', 'map', 'table'] as const
export type ChartKind = (typeof charts)[number]

/** Charts over time need series; the others need only rows. */
export const overTime = (chart: ChartKind): boolean => ['area', 'share', 'lines', 'bars', 'heatmap'].includes(chart)

export interface Spec {
  by: string[]
  metric: string
  chart: ChartKind
  top: number
  compare: string
  mirror: boolean
  log: boolean
  hide: number
  exact: boolean
}

export const usual: Spec = { by: ['protocol'], metric: 'bps', chart: 'area', top: 10, compare: '', mirror: false, log: false, hide: 0, exact: false }

const whole = (text: string | undefined, standard: number, most: number) => (/^\d{1,5}$/.test(text ?? '') ? Math.min(Number(text), most) : standard)

/** parseSpec never fails: what it can't read is as usual; that of a report, for one. */
export function parseSpec(q: Parameters, standard: Spec = usual): Spec {
  return {
    by: q.by === undefined ? standard.by : q.by.split(',').filter((word) => /^[a-z_0-9/]+$/.test(word)),
    metric: /^[a-z_0-9]+$/.test(q.metric ?? '') ? q.metric! : standard.metric,
    chart: oneOf(charts, q.chart, standard.chart),
    top: Math.max(1, whole(q.top, standard.top, 1000)),
    compare: q.compare === undefined ? standard.compare : /^\d{1,4}[smhd]$/.test(q.compare) ? q.compare : '',
    mirror: q.mirror === undefined ? standard.mirror : q.mirror === '1',
    log: q.log === undefined ? standard.log : q.log === '1',
    hide: whole(q.hide, standard.hide, 100),
    exact: q.exact === undefined ? standard.exact : q.exact === '1',
  }
}

const words = (spec: Spec) => ({
  by: spec.by.length > 0 ? spec.by.join(',') : '-',
  metric: spec.metric,
  chart: spec.chart,
  top: String(spec.top),
  compare: spec.compare || '-',
  mirror: spec.mirror ? '1' : '0',
  log: spec.log ? '1' : '0',
  hide: String(spec.hide),
  exact: spec.exact ? '1' : '0',
})

/** formatSpec says how a Spec differs from the usual one, or from that of a report. */
export const formatSpec = (spec: Spec, standard: Spec = usual): Parameters => differing(words(spec), words(standard))
