import { expect, test } from 'vitest'
import type { Exporter } from '@/ask/exporters'
import { byTrouble, stateOf } from './state'

const now = Date.parse('2026-11-23T10:00:00Z')
const one = (exporter: string, score: number | null, secondsAgo: number) => ({ exporter, last_seen: new Date(now - 1000 * secondsAgo).toISOString(), quality: score === null ? null : { score, lost: [] } }) as unknown as Exporter

test('the worst is first, and who is silent is in trouble whatever the score', () => {
  const all = [one('good', 100, 1), one('new', null, 1), one('gone', 100, 3600), one('warn', 90, 2), one('bad', 20, 2)]
  expect(all.map((x) => stateOf(x, now))).toEqual(['good', 'unknown', 'bad', 'warn', 'bad'])
  expect(all.sort(byTrouble(now)).map((x) => x.exporter)).toEqual(['gone', 'bad', 'warn', 'good', 'new'])
  const wrong = { compared: 2, wrong: ['rate_wrong'] }
  expect(stateOf(one('good', 100, 1), now, wrong)).toBe('bad')
  expect(all.sort(byTrouble(now, new Map([['good', wrong]]))).map((x) => x.exporter)).toEqual(['gone', 'good', 'bad', 'warn', 'new'])
})
