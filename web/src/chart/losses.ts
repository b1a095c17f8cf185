// When flows are known to be lost: charts hatch these times. Asked once for all
// charts of a page, and again when the page's time went on by a minute, which is
// how finely it is known.

import { shallowRef, watch, type ShallowRef } from 'vue'
import { ApiError, get } from '@/ask/api'
import { span } from '@/ask/live'
import { iso } from '@/ask/state'
import { percent } from '@/words/format'
import { w } from './words'

const kinds = ['missing_units', 'kernel_drops', 'template_missing', 'malformed', 'restart', 'silent', 'collector_stopped'] as const

/** Loss is an interval as /api/quality tells it. */
export interface Loss {
  from: string
  to: string
  /** Whose flows; empty: everybody's. */
  exporter: string
  kind: string
  words?: string
  /** Of the flows of this time; null where nobody can tell. */
  share: number | null
}

const losses = shallowRef<Loss[]>([])
const minute = 60_000
let asked: string | null = null
let untold = false // by an older server

async function load(): Promise<void> {
  const now = span.value
  const question = now && `${Math.floor(now.from / minute)} ${Math.floor(now.to / minute)}`
  if (!now || untold || question === asked) return
  asked = question
  try {
    const { intervals } = await get<{ intervals: Loss[] | null }>('/api/quality', { from: iso(now.from), to: iso(now.to) })
    if (asked === question) losses.value = intervals ?? []
  } catch (cause) {
    untold = cause instanceof ApiError && cause.status === 404
    if (asked === question) asked = null // the next beat tries again
  }
}

/** useLosses are those of the page's time; none from a server that does not tell them. */
export function useLosses(): Readonly<ShallowRef<Loss[]>> {
  watch(span, load, { immediate: true })
  return losses
}

/** merged joins what overlaps or touches, cut to a range: hatched over each other, nobody sees more. */
export function merged(all: Loss[], from: number, to: number): { from: number; to: number }[] {
  const out: { from: number; to: number }[] = []
  const cut = all.map((loss) => ({ from: Math.max(from, Date.parse(loss.from)), to: Math.min(to, Date.parse(loss.to)) })).filter((one) => one.from < one.to)
  for (const one of cut.sort((a, b) => a.from - b.from)) {
    const last = out.at(-1)
    if (last && one.from <= last.to) last.to = Math.max(last.to, one.to)
    else out.push(one)
  }
  return out
}

/** lossWords says what was lost in a time, the worst first, each once. */
export function lossWords(all: Loss[], from: number, to: number, most = 3): string[] {
  const here = all.filter((loss) => Date.parse(loss.from) < to && Date.parse(loss.to) > from).sort((a, b) => (b.share ?? 0) - (a.share ?? 0))
  const said = here.map(({ kind, words, exporter, share }) => {
    const known = kinds.find((one) => one === kind)
    const what = [exporter, known ? w(known) : (words ?? kind)].filter((part) => part !== '').join(' ')
    return share === null ? w('unknownShare', { what }) : w('known', { share: percent(share, 1), what })
  })
  const each = [...new Set(said)]
  return each.length > most ? [...each.slice(0, most), w('moreLosses', { n: each.length - most })] : each
}
