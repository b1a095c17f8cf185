// The page's pulse: it asks the server how it is, keeps its clock, and decides
// when answers are due anew. Everything that loads follows `span`.

import { computed, ref, shallowRef, watch } from 'vue'
import { api, ApiError, type Question, type Status } from './api'
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
let timer: ReturnType<typeof setTimeout> | undefined

export const serverNow = (): number => Date.now() + clockOffset

async function askStatus(): Promise<void> {
  try {
    const now = await api.status(AbortSignal.timeout(patience))
    clockOffset = Date.parse(now.now) - Date.now()
    status.value = now
    lastAnswer.value = new Date()
    reachable.value = true
  } catch (cause) {
    // An error of the server's is an answer too; silence isn't.
    reachable.value = cause instanceof ApiError && cause.status !== 0
  }
}

function settle(): void {
  span.value = resolve(view.value.range, serverNow())
  round.value++
}

/** refresh asks all again, now. */
export async function refresh(): Promise<void> {
  clearTimeout(timer)
  await askStatus()
  settle()
  schedule()
}

function schedule(): void {
  clearTimeout(timer)
  const seconds = reachable.value ? view.value.refresh || 10 : 5
  timer = setTimeout(beat, 1000 * seconds)
}

async function beat(): Promise<void> {
  if (!document.hidden) {
    const wasReachable = reachable.value
    await askStatus()
    if (reachable.value && (moving.value || !wasReachable)) settle()
  }
  schedule()
}

/** start begins the pulse; once, by the page. */
export function start(): void {
  void refresh()
  watch(() => view.value.range, settle)
  watch(() => view.value.refresh, schedule)
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) void beat()
  })
}
