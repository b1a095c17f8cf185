// English and Japanese, switchable, every string. Words stand in tables, one
// for what pages share (common.ts) and one beside each page (words.ts). A key
// missing in one language does not compile; a place holder missing fails a test.

import { ref, watchEffect } from 'vue'

export type Language = 'en' | 'ja'
type Values = Record<string, string | number>

/** Every table, for the test that compares the languages. */
export const tables: { en: Record<string, string>; ja: Record<string, string> }[] = []

const stored = localStorage.getItem('minamo.language')
export const language = ref<Language>(
  stored === 'en' || stored === 'ja' ? stored : navigator.language.startsWith('ja') ? 'ja' : 'en',
)

watchEffect(() => {
  document.documentElement.lang = language.value
})

export function setLanguage(to: Language): void {
  language.value = to
  localStorage.setItem('minamo.language', to)
}

/** words makes a function that says a message of a table in the current language, its {place holders} filled. */
export function words<E extends Record<string, string>>(en: E, ja: Record<keyof E, string>) {
  tables.push({ en, ja })
  return (key: keyof E, values: Values = {}): string =>
    (language.value === 'en' ? en[key]! : ja[key]).replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''))
}
