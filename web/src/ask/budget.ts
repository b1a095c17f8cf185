// Flow records per second: limits, what is used of them, and plans.

import { get, request } from './api'

export type Verdict = 'fits' | 'near' | 'over' | 'unknown'

/** A limit of flow records a second, and what is used of it. */
export interface FlowBudget {
  /** 0: none is known. */
  limit: number
  limit_source: 'configured' | 'measured' | 'none'
  lossless: number
  now: number
  /** The busiest minute of seven days. */
  peak: number
  use: number
  headroom: number
  verdict: Verdict
  growth_per_day: number | null
  growth_error: number | null
  grows: boolean
  /** The day on which growth reaches the limit. */
  reached: string | null
  days: { date: string; peak: number; minutes: number }[]
}

export interface ExporterBudget extends FlowBudget {
  exporter: string
  rates: { rate: number; source: string; share: number }[]
  packets_per_record: number
  packet_bytes: number
  kept_one_in: number
}

export interface Budgets {
  from: string
  to: string
  collector: FlowBudget
  /** Flow records a second that are kept, where more come than may. */
  kept: number | null
  exporters: ExporterBudget[]
}

export const budgets = (signal?: AbortSignal): Promise<Budgets> => get<Budgets>('/api/budget', {}, signal)

/** A router as it might be; what is left out is as it is. */
export interface WhatIfRouter {
  name: string
  flows?: number
  rate?: number
  limit?: number
}

export interface WhatIf {
  collector?: number
  growth?: number
  reserve?: number
  bytes?: number
  routers?: WhatIfRouter[]
}

interface Precision {
  packets: number
  /** 95 % of estimates are within this part of the truth. */
  error: number
  seen: number
}

export interface PlannedRouter {
  name: string
  rate: number
  new_rate: number
  now: number
  now_after: number
  before: number
  after: number
  limit: number
  target: number
  why: 'kept' | 'own_limit' | 'collector' | 'impossible'
  packet_bytes: number
  assumed: boolean
  costs: { name: string; bytes: number; before: Precision; after: Precision }[]
  configuration: { vendor: string; lines: string; note: string }[]
}

export interface SamplingPlan {
  possible: boolean
  limit: number
  target: number
  before: number
  after: number
  growth: number
  reserve: number
  routers: PlannedRouter[]
}

export const plan = (what: WhatIf, signal?: AbortSignal): Promise<SamplingPlan> =>
  request<SamplingPlan>('/api/budget/plan', { method: 'POST', body: JSON.stringify(what), headers: { 'Content-Type': 'application/json' }, signal })
