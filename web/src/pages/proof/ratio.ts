// The little picture of a ratio: 1 is the middle, twice and half are equally far
// from it. And which sampling rate a finding suggests to set.

import { quiet, type Override, type Proved } from '@/ask/proof'
import { digits } from '@/words/format'

const widest = 5 // doublings to either side; what is farther out stands at the edge

/** placeOf is where a ratio stands, from 0 to 1. */
export const placeOf = (ratio: number): number => (ratio <= 0 ? 0 : 0.5 + Math.max(-1, Math.min(1, Math.log2(ratio) / widest)) / 2)

export const beyond = (ratio: number): boolean => ratio <= 0 || Math.abs(Math.log2(ratio)) > widest

/** rangeOf is where the ratio may be because of sampling. */
export function rangeOf(ratio: number, error: number): { from: number; to: number } {
  return { from: placeOf(ratio * Math.max(0, 1 - error)), to: placeOf(ratio * (1 + error)) }
}

/** ratioWords writes small ratios as parts, as people think of a sampling rate; others so that they stand below each other. */
export function ratioWords(ratio: number | null): string {
  if (ratio === null) return '–'
  if (ratio <= 0) return '0'
  return ratio < 0.095 ? `1/${digits(1 / ratio)}` : `${ratio < 9.995 ? ratio.toFixed(2) : digits(ratio)}×`
}

/** signOf tells at a glance how a verdict is. */
export const signOf = (verdict: string): 'good' | 'bad' | 'unknown' => (verdict === 'healthy' ? 'good' : quiet.includes(verdict) ? 'unknown' : 'bad')

/** utilisation of an interface; null where its speed is not known. */
export const utilisation = (bps: number | null, speed: number | undefined): number | null => (bps === null || !speed ? null : bps / speed)

/**
 * suggested is the override that would mend a finding; null where none would. A
 * rate that is wrong at several interfaces is the exporter's, and what goes out
 * came in somewhere else: then it is set for all of the exporter.
 */
export function suggested(one: Proved, all: readonly Proved[], rangeFrom: string): Override | null {
  if (!one.implied_rate) return null
  const alike = all.filter((other) => other.exporter === one.exporter && other.verdict === one.verdict)
  const whole = one.direction === 'out' || new Set(alike.map((other) => other.index)).size > 1
  const before = one.since && Date.parse(one.since) > Date.parse(rangeFrom) + 600_000 ? { from: one.since } : {}
  return { exporter: one.exporter, interface: whole ? 0 : one.index, rate: one.implied_rate, ...before }
}
