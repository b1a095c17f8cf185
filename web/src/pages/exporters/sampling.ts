// How an exporter samples, in few words.

import type { Rate } from '@/ask/exporters'

/** unsure tells whether nobody told the rate of some flows. */
export const unsure = (rates: readonly Rate[] | null): boolean => (rates ?? []).some((one) => one.source === 'assumed')

/** sampledBy names the rates of most flows; of what is assumed it does not make a rate. */
export function sampledBy(rates: readonly Rate[] | null): string {
  const names = (rates ?? []).map((one) => (one.source === 'assumed' ? '?' : `1/${one.rate}`))
  return [...new Set(names)].slice(0, 2).join(', ')
}
