import { describe, expect, it } from 'vitest'
import { tables } from './i18n'

// Every table registers itself when its module loads.
const found = import.meta.glob<object>(['./common.ts', '../**/words.ts'], { eager: true })
const sources = import.meta.glob<string>(['../**/*.vue', '../**/*.ts', '!../**/*.test.ts'], { query: '?raw', import: 'default', eager: true })
const program = Object.values(sources).join('\n')

const holders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort()

it('has a table for each words.ts', () => expect(tables.length).toBe(Object.keys(found).length))

describe.each(tables.flatMap(({ en, ja }) => Object.keys(en).map((key) => ({ key, en: en[key]!, ja: ja[key]! }))))('$key', ({ key, en, ja }) => {
  it('says something in both languages', () => {
    expect(en.trim()).not.toBe('')
    expect(ja.trim()).not.toBe('')
  })
  it('fills the same places', () => expect(holders(ja)).toEqual(holders(en)))
  it('is used', () => expect(program).toMatch(new RegExp(`['"\`]${key}['"\`]`)))
})
