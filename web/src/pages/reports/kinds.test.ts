import { expect, it } from 'vitest'
import table from '../../../../query/standard.go?raw'
import { groups, specOf } from './kinds'
import { said } from './titles'

const served = [...table.slice(table.indexOf('var standardReports')).matchAll(/^\t\{"([a-z-]+)", /gm)].map((match) => match[1]!)

it('has a group and Japanese words for each report of the server', () => {
  expect(served.length).toBeGreaterThan(30)
  expect(Object.values(groups).flat().sort()).toEqual([...served].sort())
  expect([...said].sort()).toEqual([...served].sort())
})

it('asks what the report asks', () => {
  expect(specOf({ name: 'as-pair', title: '', by: ['src_as', 'dst_as'], metric: 'bps', doc: '' })).toMatchObject({ by: ['src_as', 'dst_as'], chart: 'sankey' })
})
