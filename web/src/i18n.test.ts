import { describe, expect, it } from 'vitest'
import { languages, type Key } from './i18n'

const { en, ja } = languages
const sources = import.meta.glob<string>(['./**/*.vue', './**/*.ts', '!./**/*.test.ts', '!./i18n.ts'], { query: '?raw', import: 'default', eager: true })
const program = Object.values(sources).join('\n')
const placeHolders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort()

describe.each(Object.keys(en) as Key[])('%s', (key) => {
  it('is said in both languages, about the same things', () => {
    expect(en[key]).not.toBe('')
    expect(ja[key]).not.toBe('')
    expect(placeHolders(ja[key])).toEqual(placeHolders(en[key]))
  })

  it('is used', () => expect(program).toMatch(new RegExp(`['"\`]${key}['"\`]|\\b${key}:`)))
})
