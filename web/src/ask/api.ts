// The typed client of the HTTP API. It knows addresses and shapes, nothing
// about pages; every call can be cancelled, and fails only with an ApiError.

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

export interface ReportRow extends Counts {
  key?: Key
  label: string
  /** Of the metric, in the report's unit. */
  value: number
  /** Of the total, 0 to 1; 0 where the metric does not add up. */
  share: number
  /** How far packets and bytes may be off because of sampling (95 %), as a part of them. */
  sampling_error: number
  /** Of the metric in each bucket, where a step was asked. */
  values?: number[]
  change?: { earlier: number; by: number; part: number; new: boolean; gone: boolean }
}

/** The answer to /api/report. */
export interface Report {
  name?: string
  by: string[]
  metric: string
  unit: string
  from: string
  to: string
  step_seconds?: number
  times?: string[]
  rows: ReportRow[]
  other: ReportRow | null
  other_groups: number
  total: ReportRow
  left?: ReportRow[]
  note?: string
  exact: boolean
  missing?: number
  /** The earlier range, and the other direction: the same rows in the same order. */
  earlier?: Report
  mirror?: Report
  meta: Meta
}

export interface StandardReport {
  name: string
  title: string
  by: string[]
  metric: string
  doc: string
}

export interface Dimension {
  name: string
  doc: string
}

export interface MetricInfo {
  name: string
  title: string
  unit: string
  /** Whether rows add up to the total, so that a chart can stack them. */
  additive: boolean
  doc: string
}

export interface Column {
  name: string
  kind: string
  unit?: string
  required: boolean
  doc: string
  names?: Record<string, string>
}

export interface Fields {
  columns: Column[]
  dimensions: Dimension[]
  metrics: MetricInfo[]
}

export interface Completion {
  from: number
  to: number
  value: string
  words: { text: string; kind: string; doc?: string }[]
}

/** A question that is being answered. */
export interface Running {
  id: string
  /** waiting or running */
  state: string
  /** From 0 to 1, an estimate that only grows. */
  done: number
  seconds: number
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
export type Question = {
  from: string
  to: string
  filter: string | string[]
  raw: boolean
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

/** Empty and false values are left out; of a list each is one parameter of the name. */
export type Parameters = Record<string, string | number | boolean | string[]>

export function address(path: string, parameters: Parameters = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== '' && one !== false) search.append(name, String(one))
    }
  }
  const query = search.toString()
  return query === '' ? path : `${path}?${query}`
}

/** get asks for JSON. */
export async function get<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
  return request<T>(address(path, parameters), { signal })
}

/** put writes JSON; an answer without a body is undefined. */
export const put = <T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> =>
  request<T>(path, { method: 'PUT', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } })

export const remove = (path: string, headers: Record<string, string> = {}): Promise<void> => request<void>(path, { method: 'DELETE', headers })

/** request is fetch that fails only with an ApiError, or by its signal. */
export async function request<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, { ...init, headers: { Accept: 'application/json', ...init.headers } })
  } catch (cause) {
    if (init.signal?.aborted) throw cause
    throw new ApiError(0, '', String(cause))
  }
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T
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
  report: (parameters: Parameters, signal: AbortSignal) => get<Report>('/api/report', parameters, signal),
  reports: (signal?: AbortSignal) => get<{ reports: StandardReport[] }>('/api/reports', {}, signal).then((answer) => answer.reports),
  fields: (signal?: AbortSignal) => get<Fields>('/api/fields', {}, signal),
  checkFilter: (filter: string, signal: AbortSignal) => get<FilterCheck>('/api/filter', { filter }, signal),
  complete: (filter: string, at: number, signal: AbortSignal) => get<Completion>('/api/complete', { filter, at }, signal),
  /** running tells how far a question is that was asked with this id; null of one that is answered. */
  running: async (id: string, signal: AbortSignal): Promise<Running | null> => {
    const { questions } = await get<{ questions: Running[] }>('/api/questions', {}, signal)
    return questions.find((one) => one.id === id) ?? null
  },
}
