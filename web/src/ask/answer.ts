// An answer that is kept while the next one loads. When the question itself
// changes, the old answer is stale (drawn dimmed) until the new one is there;
// when only time went on, it is replaced without a flicker.

import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { ApiError } from './api'

export interface Answer<T> {
  data: Readonly<ShallowRef<T | null>>
  error: Readonly<ShallowRef<ApiError | null>>
  loading: Readonly<Ref<boolean>>
  stale: Readonly<Ref<boolean>>
}

/** One request: what identifies the question, which asking of it this is, and how to send it. */
export interface Request<T> {
  identity: string
  time: string
  send: (signal: AbortSignal) => Promise<T>
}

export function useAnswer<T>(request: () => Request<T> | null): Answer<T> {
  const data = shallowRef<T | null>(null)
  const error = shallowRef<ApiError | null>(null)
  const loading = ref(false)
  const stale = ref(false)
  let asked = ''
  let running: AbortController | null = null

  async function load(next: Request<T>): Promise<void> {
    // A slow answer to the same question is worth more than an endless queue.
    if (running && next.identity === asked) return
    running?.abort()
    const mine = new AbortController()
    running = mine
    loading.value = true
    if (next.identity !== asked) stale.value = data.value !== null
    asked = next.identity
    try {
      const answer = await next.send(mine.signal)
      if (mine.signal.aborted) return
      data.value = answer
      error.value = null
      stale.value = false
    } catch (cause) {
      if (mine.signal.aborted) return
      error.value = cause instanceof ApiError ? cause : new ApiError(0, '', String(cause))
    } finally {
      if (running === mine) {
        running = null
        loading.value = false
      }
    }
  }

  watch(
    () => {
      const next = request()
      return next && `${next.identity} ${next.time}`
    },
    () => {
      const next = request()
      if (next) void load(next)
    },
    { immediate: true },
  )
  onScopeDispose(() => running?.abort())
  return { data, error, loading, stale }
}
