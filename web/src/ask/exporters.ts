// The exporters, as lists show them: a device in one row, whatever domains it has.

import { get } from './api'

export interface Domain {
  protocol: string
  domain: number
  datagrams: number
  flows: number
  missing_units: number
  missing_samples: number
  restarts: number
  reordered: number
  duplicates: number
  clock_offset_ms: number
  /** Announced in options data. */
  sampling: { scope: string; id?: number; rate: number; name?: string; algorithm?: string }[] | null
  last_seen: string
}

/** A point that an exporter's score lacks: what is wrong, and what to do. */
export interface Lost {
  points: number
  kind: string
  words: string
  mend: string
}

/** How good what an exporter tells is, and why it is not better. */
export interface Score {
  score: number
  lost: Lost[] | null
}

/** A sampling rate, where it was learnt, and of how many flows it is. */
export interface Rate {
  protocol: string
  domain: number
  rate: number
  source: string
  flows: number
}

interface Status {
  exporter: string
  name?: string
  last_seen: string
  connections: number
  templates: number
  malformed: number
  quality: Score | null
  /** Of the flows of the last hour, those of most first. */
  rates: Rate[] | null
  problems: Record<string, number>
  domains: Domain[] | null
}

export interface Exporter extends Status {
  protocols: string[]
  flows: number
  datagrams: number
  /** What was received, and what is known to be missing, in the protocol's units: flows, datagrams or messages. */
  units: number
  missing: number
}

/** exporters asks for all of them, by address. */
export async function exporters(signal?: AbortSignal): Promise<Exporter[]> {
  const { exporters } = await get<{ exporters: Status[] }>('/api/exporters', {}, signal)
  return exporters.map(summed)
}

/** summed adds up what a device's domains say. */
export function summed(one: Status): Exporter {
  const domains = one.domains ?? []
  const sum = (of: (d: Domain) => number) => domains.reduce((all, d) => all + of(d), 0)
  return {
    ...one,
    protocols: [...new Set(domains.map((d) => d.protocol))],
    flows: sum((d) => d.flows),
    datagrams: sum((d) => d.datagrams),
    // NetFlow v5 and IPFIX count flows, v9 and sFlow datagrams.
    units: sum((d) => (/netflow5|ipfix/.test(d.protocol) ? d.flows : d.datagrams)),
    missing: sum((d) => d.missing_units),
  }
}

export interface InterfaceInfo {
  index: number
  name?: string
  description?: string
  /** bit/s, where a source told it. */
  speed?: number
}

export interface Timer {
  seconds: number
  /** It may be longer: too few flows show where they end. */
  at_least: boolean
  warning?: string
  /** 0 to 1. */
  confidence: number
}

export interface Template {
  protocol: string
  domain: number
  id: number
  options: boolean
  last_seen: string | null
  fields: { element: string; name?: string; length: number; scope?: boolean }[]
}

/** An element that is exported and not kept, and the configuration that would keep it. */
export interface Skipped {
  element: string
  name?: string
  type: string
  column?: string
}

interface Details {
  waiting: number
  quality_day: Score | null
  /** Of its cache, as its flows show them; null where they do not. */
  timers: { active: Timer | null; inactive: Timer | null; longest_seconds: number; flows: number }
  rates: Rate[] | null
  skipped: Skipped[] | null
  template_records: Template[] | null
}

export interface ExporterDetails extends Exporter, Details {
  interfaces: InterfaceInfo[]
}

/** exporter asks for one, with what it told of itself; null where nobody of the address exports. */
export const exporter = (address: string, signal?: AbortSignal): Promise<ExporterDetails | null> =>
  get<Status & Details & { interfaces: InterfaceInfo[] | null }>(`/api/exporters/${encodeURIComponent(address)}`, {}, signal).then(
    (one) => ({ ...one, ...summed(one), interfaces: one.interfaces ?? [] }),
    (error: { status?: number }) => {
      if (error.status === 404) return null
      throw error
    },
  )
