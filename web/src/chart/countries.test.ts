import { describe, expect, it } from 'vitest'
import { feature } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import { geoArea, geoContains } from 'd3-geo'
import atlas from 'world-atlas/countries-110m.json'
import type { Report, ReportRow } from '@/ask/api'
import { setLanguage } from '@/words/i18n'
import { countryName, numberOf, places } from './countries'

const world = feature(atlas as unknown as Topology, (atlas as unknown as Topology<{ countries: GeometryCollection<{ name: string }> }>).objects.countries)

describe('the codes', () => {
  it('are of each country that the map draws, each once', () => {
    const drawn = world.features.map((one) => one.id).filter((id) => id !== undefined).map(String).sort()
    expect([...numberOf.values()].sort()).toEqual(drawn)
  })

  it('are of the country whose name the map has', () => {
    setLanguage('en')
    const differently: string[] = []
    for (const [code, number] of numberOf) {
      const map = world.features.find((one) => String(one.id) === number)!.properties.name
      const plain = (name: string) => name.toLowerCase().normalize('NFD').replace(/[^a-z]/g, '')
      if (plain(map).slice(0, 4) !== plain(countryName(code)).slice(0, 4)) differently.push(`${code} ${map}`)
    }
    // Abbreviated on the map, but the same.
    expect(differently.sort()).toEqual(['CD Dem. Rep. Congo', 'EH W. Sahara', 'GQ Eq. Guinea', 'MK Macedonia', 'SS S. Sudan', 'TF Fr. S. Antarctic Lands'])
  })

  it('put cities where they are', () => {
    const at = (code: string, place: [number, number]) => geoContains(world.features.find((one) => String(one.id) === numberOf.get(code))!, place)
    expect(at('JP', [138.0, 36.2])).toBe(true)
    expect(at('AU', [149.1, -33])).toBe(true)
    expect(at('AT', [13.3, 47.6])).toBe(true)
    expect(at('AT', [149.1, -33])).toBe(false)
    expect(geoArea(world)).toBeGreaterThan(1) // steradians: the winding is right, else it were the oceans
    expect(geoArea(world)).toBeLessThan(6)
  })
})

it('names countries in both languages, and leaves what nobody assigned', () => {
  setLanguage('ja')
  expect(countryName('JP')).toBe('日本')
  setLanguage('en')
  expect(countryName('JP')).toBe('Japan')
  expect(countryName('XA1')).toBe('XA1')
})

it('loses nothing that is not on the map', () => {
  const row = (code: string | null, value: number, more = {}): ReportRow => ({ key: { src_country: code, ...more }, label: code ?? '', value, flows: 0, packets: 0, bytes: 0, share: 0, sampling_error: 0 })
  const rows = [row('JP', 5, { app: 'a' }), row('XA', 4), row('JP', 3, { app: 'b' }), row(null, 2), row('SG', 1)]
  const { onMap, elsewhere, most } = places({ by: ['src_country', 'app'], rows } as unknown as Report)
  expect([...onMap]).toEqual([['392', { code: 'JP', value: 8, rows: [0, 2] }]])
  expect(elsewhere.map(({ index }) => index)).toEqual([1, 3, 4])
  expect(most).toBe(8)
})
