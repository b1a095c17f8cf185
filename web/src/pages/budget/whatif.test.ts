import { expect, test } from 'vitest'
import { formatRouters, parseWhatIf } from './whatif'

test('what is asked stands in the address', () => {
  const asked = parseWhatIf({ collector: '10000', growth: '1.5', reserve: '25', bytes: '1e6', routers: '192.0.2.1=8000@1000/7000;2001:db8::3=@4000;new=50;r=/70' })
  expect(asked).toEqual({
    collector: 10_000,
    growth: 1.5,
    reserve: 0.25,
    bytes: 1e6,
    routers: [
      { name: '192.0.2.1', flows: 8000, rate: 1000, limit: 7000 },
      { name: '2001:db8::3', flows: undefined, rate: 4000, limit: undefined },
      { name: 'new', flows: 50, rate: undefined, limit: undefined },
      { name: 'r', flows: undefined, rate: undefined, limit: 70 },
    ],
  })
  expect(formatRouters(asked.routers!)).toBe('192.0.2.1=8000@1000/7000;2001:db8::3=@4000;new=50;r=/70')
})

test('nonsense asks nothing', () => {
  expect(parseWhatIf({ collector: 'x', growth: '-1', reserve: '500', routers: 'a;b=c;=5;d=1@x' })).toEqual({ collector: undefined, growth: undefined, reserve: 0.9, bytes: undefined, routers: [] })
  expect(formatRouters([{ name: 'as it is' }])).toBe('')
})
