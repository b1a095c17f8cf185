// What the proof says of an exporter in short: the verdicts on its interfaces.

import type { Port } from '@/ask/interfaces'
import { quiet } from '@/ask/proof'

export interface Proved {
  /** Directions of interfaces of which flows were compared with counters. */
  compared: number
  /** The verdicts of those that are wrong. */
  wrong: string[]
}

export const nothingProved: Proved = { compared: 0, wrong: [] }

/** provedBy sums verdicts up by exporter. */
export function provedBy(ports: readonly Port[]): Map<string, Proved> {
  const by = new Map<string, Proved>()
  for (const port of ports) {
    const of = by.get(port.exporter) ?? { compared: 0, wrong: [] }
    for (const verdict of [port.in_verdict ?? '', port.out_verdict ?? '']) {
      if (verdict === 'healthy' || !quiet.includes(verdict)) of.compared++
      if (!quiet.includes(verdict)) of.wrong.push(verdict)
    }
    by.set(port.exporter, of)
  }
  return by
}

/** wrongWords says each wrong verdict once, the most frequent first. */
export function wrongWords({ wrong }: Proved, name: (verdict: string) => string): string {
  const counts = new Map<string, number>()
  for (const verdict of wrong) counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1]).map(([verdict, n]) => (n > 1 ? `${name(verdict)} (${n})` : name(verdict))).join(', ')
}
