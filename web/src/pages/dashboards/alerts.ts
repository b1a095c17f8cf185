// The open alerts as they are shown: what each is called, and where it is explained.

import { computed } from 'vue'
import type { RouteLocationRaw } from 'vue-router'
import { alerts, around, type Alert } from '@/ask/alerts'
import { useAnswer } from '@/ask/answer'
import { round, serverNow } from '@/ask/live'
import { carried } from '@/ask/view'
import { kindName } from '@/pages/exporters/words'
import { verdictName } from '@/pages/proof/words'
import { w } from './words'

function explained(one: Alert): RouteLocationRaw {
  switch (one.kind) {
    case 'proof':
      return { name: 'proof', query: { ...carried.value, find: one.exporter } }
    case 'counting':
    case 'drops':
      return { name: one.kind, query: { ...carried.value, range: around(one.since, serverNow()) } }
  }
  return { name: 'exporter', params: { exporter: one.exporter }, query: carried.value }
}

/** name says what is wrong; of what this console does not know, its name in the API. */
function name(one: Alert): string {
  switch (one.what) {
    case 'new_copies':
    case 'no_roles':
    case 'more_drops':
      return w(one.what)
  }
  return one.kind === 'proof' ? verdictName(one.what) : kindName(one.what)
}

/** openAlerts asks for them, again and again, while the component is there. */
export function openAlerts() {
  const answer = useAnswer(() => ({ identity: 'alerts', time: String(round.value), send: alerts }))
  const rows = computed(() =>
    (answer.data.value ?? []).map((one) => {
      const [first, ...more] = one.interfaces
      return {
        ...one,
        key: `${one.kind} ${one.exporter} ${one.what}`,
        place: first ? `${first.name || first.index} ${first.direction}` : '',
        more: more.length,
        to: explained(one),
        name: name(one),
      }
    }),
  )
  return { answer, rows }
}
