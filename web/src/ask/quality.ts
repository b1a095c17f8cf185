// How exporters exported over time: points of some minutes, by exporter and
// observation domain, and when flows are known to be lost.

import { get } from './api'
import type { Loss } from '@/chart/losses'

export interface DomainHistory {
  protocol: string
  domain: number
  /** What sequence numbers count: flows, datagrams, data records. */
  unit: string
  flows: number[]
  datagrams: number[]
  bytes: number[]
  units: number[]
  /** Below 0 where some came late that were missing in the point before. */
  missing: number[]
  missing_samples: number[]
  reordered: number[]
  duplicates: number[]
  restarts: number[]
  /** Null where no clock is known. */
  clock_offset_ms: (number | null)[]
  sampling_rate: number[]
  sampling_source: string[]
}

export interface ExporterHistory {
  exporter: string
  malformed: number[]
  template_waits: number[]
  template_missing: number[]
  template_changes: number[]
  templates: number[]
  times_clamped: number[]
  domains: DomainHistory[]
}

export interface History {
  from: string
  to: string
  /** Seconds. */
  step: number
  /** By point: whether a collector ran. Where none did, numbers mean nothing. */
  ran: boolean[]
  kernel_drops: number[]
  exporters: ExporterHistory[]
  intervals: Loss[]
}

export const history = (range: { from: string; to: string; exporter?: string; step?: string }, signal?: AbortSignal): Promise<History> =>
  get<History>('/api/quality', { from: range.from, to: range.to, exporter: range.exporter ?? '', step: range.step ?? '' }, signal)
