// How an exporter is, in one sign: what lists sort by, and what is seen first.

import type { Exporter } from '@/ask/exporters'
import { nothingProved, type Proved } from './proved'

export type State = 'good' | 'warn' | 'bad' | 'unknown'

export const shapes: Record<State, string> = { good: '●', warn: '▲', bad: '✕', unknown: '○' }
export const tints: Record<State, string> = { good: 'text-good', warn: 'text-warn', bad: 'text-bad', unknown: 'text-muted' }

/** Silent for so long, an exporter is in trouble whatever its score: scores look an hour back. */
export const silentAfter = 300_000

/** stateOf an exporter at a time of the server's clock: wrong flows are bad, however well they come. */
export function stateOf(one: Pick<Exporter, 'last_seen' | 'quality'>, now: number, proof: Proved = nothingProved): State {
  if (proof.wrong.length > 0 || now - Date.parse(one.last_seen) > silentAfter) return 'bad'
  const score = one.quality?.score
  if (score === undefined) return 'unknown'
  return score < 60 ? 'bad' : score < 95 ? 'warn' : 'good'
}

/** byTrouble puts the worst first: silent ones, ones whose flows are wrong, then by score. */
export const byTrouble =
  (now: number, proved: ReadonlyMap<string, Proved> = new Map()) =>
  (a: Exporter, b: Exporter): number => {
    const rank = (one: Exporter) => (now - Date.parse(one.last_seen) > silentAfter ? -2 : (proved.get(one.exporter)?.wrong.length ?? 0) > 0 ? -1 : (one.quality?.score ?? 101))
    return rank(a) - rank(b) || (a.exporter < b.exporter ? -1 : 1)
  }
