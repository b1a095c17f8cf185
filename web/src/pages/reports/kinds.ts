// The standard reports as the console shows them: in groups, each with the
// chart that suits it. What they ask and how to read them the server tells.

import type { StandardReport } from '@/ask/api'
import { usual, type Spec } from '@/panel/spec'

export const groups = {
  traffic: ['traffic', 'protocol', 'application', 'ip-version', 'dscp'],
  hosts: ['source', 'destination', 'conversation', 'subnet-source', 'subnet-destination'],
  shape: ['packet-size', 'duration', 'tcp-flags', 'icmp'],
  yours: ['network-source', 'network-destination', 'customer-source', 'customer-destination', 'site'],
  world: ['as-source', 'as-destination', 'as-pair', 'neighbour-source', 'neighbour-destination', 'country-source', 'country-destination'],
  routers: ['exporter', 'interface-in', 'interface-out', 'percentile-in', 'percentile-out', 'forwarding', 'direction'],
} as const
export type Group = keyof typeof groups

/** What differs from a stacked chart of ten rows. */
const kinds: Record<string, Partial<Spec>> = {
  traffic: { compare: '7d' },
  'packet-size': { chart: 'bars' },
  duration: { chart: 'bars' },
  conversation: { chart: 'sankey', top: 30 },
  'subnet-source': { chart: 'treemap', top: 50 },
  'subnet-destination': { chart: 'treemap', top: 50 },
  'as-pair': { chart: 'sankey', top: 30 },
  site: { chart: 'sankey', top: 30 },
  'country-source': { chart: 'map', top: 60 },
  'country-destination': { chart: 'map', top: 60 },
  'percentile-in': { chart: 'table', top: 50 },
  'percentile-out': { chart: 'table', top: 50 },
}

export const specOf = (report: StandardReport): Spec => ({ ...usual, by: report.by ?? [], metric: report.metric, ...kinds[report.name] })

/** Reports whose quiet rows are worth a look of their own. */
export const hasQuiet = (name: string): boolean => ['protocol', 'application', 'dscp', 'icmp'].includes(name)

/** groupOf finds a report's group; one that the console does not know yet is of the first. */
export const groupOf = (name: string): Group => (Object.keys(groups) as Group[]).find((group) => (groups[group] as readonly string[]).includes(name)) ?? 'traffic'
