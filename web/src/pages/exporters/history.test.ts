import { expect, test } from 'vitest'
import type { DomainHistory, History } from '@/ask/quality'
import { drift, eventsOf, missingShare, newest, perSecond } from './history'

const from = Date.parse('2026-11-23T10:00:00Z')
const zeros = [0, 0, 0, 0]
const domain: DomainHistory = { protocol: 'netflow9', domain: 0, unit: 'datagrams', flows: zeros, datagrams: [0, 0, 30, 30], bytes: zeros, units: [0, 0, 30, 30], missing: [0, 0, 10, -2], missing_samples: zeros, reordered: zeros, duplicates: zeros, restarts: [0, 0, 0, 1], clock_offset_ms: [], sampling_rate: [], sampling_source: [] }
const told: History = {
  from: '2026-11-23T10:00:00Z', to: '2026-11-23T10:04:00Z', step: 60, ran: [false, true, true, true], kernel_drops: zeros,
  exporters: [{ exporter: '192.0.2.1', malformed: zeros, template_waits: zeros, template_missing: zeros, template_changes: [0, 0, 4, 1], templates: zeros, times_clamped: zeros, domains: [domain] }],
  intervals: [{ from: '2026-11-23T10:02:00Z', to: '2026-11-23T10:03:00Z', exporter: '192.0.2.1', kind: 'missing_units', words: 'lost', share: 0.25 }],
}

test('rates are of time that was measured', () => {
  expect(perSecond(told, [60, 60, 60, 30], from + 200_000)).toEqual([null, 1, 1, null]) // the newest point is 20 s old
  expect(perSecond(told, [60, 60, 60, 50], from + 230_000)).toEqual([null, 1, 1, 1])
})

test('what is missing is a part of what was sent', () => {
  expect(missingShare(told, domain)).toEqual([null, null, 0.25, 0])
  expect(newest([1, null, 3, null])).toBe(3)
  expect(newest([null])).toBe(null)
})

test('a clock drifts if it does so beyond its scatter', () => {
  const hours = Array.from({ length: 24 }, (_, i) => i * 3_600_000)
  expect(drift(hours, hours.map((_, i) => 100 + i))).toBeCloseTo(24)
  expect(drift(hours, hours.map((_, i) => (i % 2 ? 10 : -10)))).toBe(null)
  expect(drift(hours.slice(0, 5), [1, 2, 3, 4, 5])).toBe(null)
})

test('what happened, the newest first; templates of the beginning are none', () => {
  expect(eventsOf(told, told.exporters[0]!).map((one) => [one.kind, (one.from - from) / 60_000, one.count])).toEqual([
    ['restart', 3, 1],
    ['templates', 3, 1],
    ['lost', 2, 0],
    ['first', 2, 1],
  ])
})
