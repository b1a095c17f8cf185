import { expect, it } from 'vitest'
import { ColourBook, seriesColours } from './colours'

it('gives names shown together different colours, Other none', () => {
  const book = new ColourBook()
  const names = Array.from({ length: seriesColours }, (_, i) => `n${i}`)
  book.assign(names)
  expect(new Set(names.map((name) => book.of(name))).size).toBe(seriesColours)
  expect(book.of('someone else')).toBe('var(--series-other)')
})

it('keeps the colour of a name whatever its rank', () => {
  const book = new ColourBook()
  book.assign(['tcp', 'udp'])
  const tcp = book.of('tcp')
  book.assign(['udp', 'esp', 'tcp'])
  expect(book.of('tcp')).toBe(tcp)
})

it('gives a new name the colour longest out of sight', () => {
  const book = new ColourBook()
  book.assign(['old'])
  for (let i = 1; i < seriesColours; i++) book.assign([`n${i}`])
  book.assign(['new'])
  expect(book.of('new')).toBe(book.of('old'))
})

it('tells apart names whose colours met again', () => {
  const book = new ColourBook()
  book.assign(['old'])
  for (let i = 1; i < seriesColours; i++) book.assign([`n${i}`])
  book.assign(['new'])
  book.assign(['new', 'old'])
  expect(book.of('new')).not.toBe(book.of('old'))
})
