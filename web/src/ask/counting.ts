// Which records count, and what was dropped: /api/counting and /api/drops.

import { get, type Meta } from './api'
import type { Role } from './roles'

export interface CountingRule {
  scope: 'all' | 'once' | 'network'
  /** Whether it can be told: network needs roles. */
  known: boolean
  flows: number
  bytes: number
  bps: number
  /** What all records have beside it: the same bytes again. */
  twice_bps: number
  note?: string
}

export interface CountingExporter {
  exporter: string
  /** How many interfaces export what comes in, what goes out, both, nothing. */
  ingress: number
  egress: number
  both: number
  nothing: number
  said: boolean
  fps: number
  copies_fps: number
}

export interface CountingInterface {
  exporter: string
  index: number
  name?: string
  description?: string
  role?: Role
  exports: 'ingress' | 'egress' | 'both' | 'nothing'
  said: boolean
  ingress_bps: number
  egress_bps: number
  ingress_fps: number
  egress_fps: number
  in_bps: number
  out_bps: number
  copies_bps: number
  unseen: ('in' | 'in_part' | 'drops' | 'out')[]
  advice: ('role' | 'enable_ingress' | 'disable_ingress' | 'disable_egress')[]
}

export interface Evidence {
  role: Role
  kind: 'word' | 'next_hop' | 'same_flows'
  word?: string
  peer?: string
  share?: number
  flows?: number
}

export interface RoleSuggestion {
  exporter: string
  index: number
  name?: string
  description?: string
  role: Role
  now?: Role
  evidence: Evidence[]
}

export interface Counting {
  from: string
  to: string
  rules: CountingRule[]
  exporters: CountingExporter[]
  interfaces: CountingInterface[]
  suggestions: RoleSuggestion[]
  meta: Meta
}

export type Fate = 'forwarded' | 'dropped' | 'to_router' | 'multicast' | 'unknown'

export interface DropParty {
  key: string
  label: string
  bps: number
  pps: number
  share: number
}

export interface Drops {
  from: string
  to: string
  step_seconds: number
  times: string[]
  fates: { fate: Fate; flows: number; packets: number; bytes: number; bps: number; pps: number; share: number }[]
  reasons: { status: number | null; label: string; bps: number; pps: number; share: number; values: number[] }[]
  interfaces: { exporter: string; index: number; name?: string; description?: string; role?: Role; bps: number; pps: number; part: number; reason: string }[]
  sources: DropParty[]
  destinations: DropParty[]
  customers: DropParty[]
  exporters: { exporter: string; sight: 'told' | 'output_zero' | 'unsaid' | 'partly' | 'invisible'; dropped_bps: number; unknown_bps: number; unmetered: number }[]
  filters: Record<Fate, string>
  note?: string
  meta: Meta
}

type Span = { from: string; to: string }

export const counting = ({ from, to }: Span, signal?: AbortSignal): Promise<Counting> => get<Counting>('/api/counting', { from, to }, signal)
export const drops = ({ from, to }: Span, signal?: AbortSignal): Promise<Drops> => get<Drops>('/api/drops', { from, to }, signal)
