// The typed client of the HTTP API. It knows addresses and shapes, nothing
// about pages; every call can be cancelled, and fails only with an ApiError.

export type Metric = 'bytes' | 'packets' | 'flows'

export interface Counts {
  flows: number
  packets: number
  bytes: number
}

export type KeyValue = string | number | null
export type Key = Record<string, KeyValue>

/** Where an answer came from: enough to judge it and to ask again by hand. */
export interface Meta {
  question: string
  /** The coarsest first; "flows" is every single flow. */
  tables: string[]
  segments: number
  damaged: number
  rows_scanned: number
  milliseconds: number
  waited_milliseconds: number
  cached: boolean
  sql: string
  command: string
}

export interface TopRow extends Counts {
  key: Key
  label: string
}

export interface Top {
  by: string[]
  metric: Metric
  from: string
  to: string
  rows: TopRow[]
  other: Counts & { groups: number }
  total: Counts
  meta: Meta
}

export interface SeriesLine {
  key: Key
  label: string
  values: number[]
  total: Counts
}

export interface Series {
  metric: Metric
  from: string
  to: string
  step_seconds: number
  times: string[]
  series: SeriesLine[]
  other: SeriesLine | null
  meta: Meta
}

export interface Problem {
  kind: string
  count: number
  help: string
}

export interface Status {
  version: string
  started: string
  now: string
  flows_per_second: number
  packets_per_second: number
  bits_per_second: number
  rate_window_seconds: number
  flows_total: number
  datagrams_total: number
  listen: string[]
  exporters: number
  store: { dir: string; segments: number; rows: number; bytes: number; oldest: string | null; newest: string | null }
  problems: Problem[] | null
}

export type FilterCheck = { ok: true } | { ok: false; column: number; word: string; expected: string; message: string }

/** What every question about stored flows has in common. */
export interface Question {
  from: string
  to: string
  filter: string
  metric: Metric
  raw: boolean
  limit: number
}

/** status 0: the server could not be reached at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    message: string,
  ) {
    super(message)
  }
}

type Parameters = Record<string, string | number | boolean>

export function address(path: string, parameters: Parameters = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== '' && value !== false) search.set(name, String(value))
  }
  const query = search.toString()
  return query === '' ? path : `${path}?${query}`
}

async function get<T>(path: string, parameters: Parameters, signal: AbortSignal): Promise<T> {
  let response: Response
  try {
    response = await fetch(address(path, parameters), { signal, headers: { Accept: 'application/json' } })
  } catch (cause) {
    if (signal.aborted) throw cause
    throw new ApiError(0, '', String(cause))
  }
  if (response.ok) return (await response.json()) as T
  throw await problem(response)
}

/** problem reads an RFC 9457 body; a proxy in between may have sent anything. */
async function problem(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null)
  const { title, detail } = (body ?? {}) as { title?: unknown; detail?: unknown }
  return new ApiError(
    response.status,
    typeof title === 'string' ? title : response.statusText,
    typeof detail === 'string' ? detail : '',
  )
}

export const api = {
  status: (signal: AbortSignal) => get<Status>('/api/status', {}, signal),
  top: (by: string, q: Question, signal: AbortSignal) => get<Top>('/api/top', { by, ...q }, signal),
  series: (by: string, q: Question, signal: AbortSignal) => get<Series>('/api/series', { by, ...q }, signal),
  checkFilter: (filter: string, signal: AbortSignal) => get<FilterCheck>('/api/filter', { filter }, signal),
}
