import { expect, test } from 'vitest'
import { provedBy, wrongWords } from './proved'

test('verdicts are summed up by exporter, and quiet ones compare nothing', () => {
  const port = (exporter: string, into: string, out: string) => ({ exporter, index: 1, in_verdict: into, out_verdict: out })
  const by = provedBy([port('a', 'healthy', 'not_metered'), port('a', 'loss', 'rate_wrong'), port('a', 'rate_wrong', ''), port('b', 'idle', 'unknown')])
  expect(by.get('a')).toEqual({ compared: 4, wrong: ['loss', 'rate_wrong', 'rate_wrong'] })
  expect(by.get('b')).toEqual({ compared: 0, wrong: [] })
  expect(wrongWords(by.get('a')!, (verdict) => verdict)).toBe('rate_wrong (2), loss')
})
