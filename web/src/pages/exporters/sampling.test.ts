import { expect, test } from 'vitest'
import { sampledBy, unsure } from './sampling'

test('rates are named once, and what nobody told is none', () => {
  const one = (rate: number, source: string) => ({ protocol: 'ipfix', domain: 0, rate, source, flows: 1 })
  expect(sampledBy([one(4096, 'options'), one(4096, 'record'), one(1, 'assumed'), one(1024, 'header')])).toBe('1/4096, ?')
  expect([sampledBy(null), sampledBy([]), sampledBy([one(1, 'header')])]).toEqual(['', '', '1/1'])
  expect([unsure(null), unsure([one(1, 'header')]), unsure([one(1, 'assumed')])]).toEqual([false, false, true])
})
