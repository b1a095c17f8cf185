// How the API's keys are called on the page.

import type { Key } from '@/ask/api'
import { countryName } from '@/chart/countries'
import { language } from './i18n'
import { t } from './common'
import { dimensionWords, metricWords } from './dimensions'

/** dimensionName says a dimension as headings do; one without a word of ours by its name in the API. */
export function dimensionName(name: string): string {
  const [base, ...lengths] = name.split('/')
  const word = dimensionWords[base!]?.[language.value] ?? base!.replaceAll('_', ' ')
  return lengths.length > 0 ? `${word} /${lengths.join('/')}` : word
}

export const byName = (by: string[]): string => (by.length > 0 ? by.map(dimensionName).join(' → ') : t('allTraffic'))

export const metricName = (name: string): string => metricWords[name]?.[language.value] ?? name

/** rowName is what a row is called: the server's label, but for keys that are better said here. */
export function rowName(key: Key | undefined, label: string): string {
  const values = Object.values(key ?? {})
  if (values.length === 0) return t('allTraffic')
  if (values.every((value) => value === null || value === '')) return t('unknown')
  const [[name, value]] = Object.entries(key!) as [[string, unknown]]
  if (values.length === 1 && /country$/.test(name)) return `${countryName(String(value))} (${value})`
  return label
}

/** colourName is what a row's colour belongs to: its dimension and its name. */
export const colourName = (key: Key | undefined): string => JSON.stringify(key ?? {})

/** spanName says a span of milliseconds: "15 min". */
export function spanName(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds % 86_400 === 0 && seconds > 86_400) return t('days', { n: seconds / 86_400 })
  if (seconds % 3600 === 0) return t('hours', { n: seconds / 3600 })
  if (seconds % 60 === 0) return t('minutes', { n: seconds / 60 })
  return t('seconds', { n: seconds })
}
