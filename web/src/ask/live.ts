// The page's pulse: the server tells how it is, by server-sent events; the page
// keeps its clock, and decides when answers are due anew. Everything that loads follows `span`.

import { computed, ref, shallowRef, watch } from 'vue'
import { address, api, ApiError, type Question, type Status } from './api'
import { iso, resolve } from './state'
import { view } from './view'

export const status = shallowRef<Status | null>(null)
export const reachable = ref(true)
export const lastAnswer = ref<Date | null>(null)

/** The range's ends, fixed for all panels at each refresh, by the server's clock. Null until it is known. */
export const span = shallowRef<{ from: number; to: number } | null>(null)

/** Does the range move with time, and is it allowed to? */
export const moving = computed(() => 'last' in view.value.range && view.value.refresh > 0)

/** What every panel asks of the same time, and of the same flows. */
export const question = computed<Question | null>(
  () =>
    span.value && {
      from: iso(span.value.from),
      to: iso(span.value.to),
      filter: view.value.filter,
      raw: view.value.raw,
    },
)

/** Counts askings: a fixed range can be asked again too. */
export const round = ref(0)

const patience = 10_000 // for an answer that costs the server nothing
let clockOffset = 0
let settled = 0 // by the server's clock
let events: EventSource | undefined

export const serverNow = (): number => Date.now() + clockOffset

function told(now: Status): void {
  clockOffset = Date.parse(now.now) - Date.now()
  status.value = now
  lastAnswer.value = new Date()
  reachable.value = true
}

async function askStatus(): Promise<void> {
  try {
    told(await api.status(AbortSignal.timeout(patience)))
  } catch (cause) {
    // An error of the server's is an answer too; silence isn't.
    reachable.value = cause instanceof ApiError && cause.status !== 0
  }
}

function settle(): void {
  settled = serverNow()
  span.value = resolve(view.value.range, settled)
  round.value++
}

/** refresh asks all again, now. */
export async function refresh(): Promise<void> {
  await askStatus()
  settle()
}

/** beat is each time that the server tells its state; answers are due when their refresh is. */
function beat(now: Status): void {
  const wasReachable = reachable.value
  told(now)
  const due = moving.value && serverNow() - settled >= 1000 * view.value.refresh - 500
  if (due || !wasReachable || !span.value) settle()
}

/** listen keeps a connection on which the server tells its state; the browser makes it anew when it breaks. */
function listen(): void {
  events?.close()
  events = new EventSource(address('/api/events', { every: Math.min(10, view.value.refresh || 10) }))
  events.addEventListener('status', (event: MessageEvent<string>) => beat(JSON.parse(event.data) as Status))
  events.addEventListener('error', () => (reachable.value = false))
}

/** start begins the pulse; once, by the page. A page that nobody sees is silent. */
export function start(): void {
  void refresh()
  listen()
  watch(() => view.value.range, settle)
  watch(() => view.value.refresh, listen)
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      events?.close()
    } else {
      void refresh()
      listen()
    }
  })
}
