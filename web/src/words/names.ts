// How the API's keys are called on the page.

import type { Key, Metric } from '@/ask/api'
import { t, type Key as Message } from './common'
import type { View } from '@/ask/state'

export const dimensionNames: Record<View['by'], Message> = {
  protocol: 'protocol',
  app: 'app',
  exporter: 'byExporter',
  src_as: 'src_as',
  dst_as: 'dst_as',
}

export const metricNames = { bytes: 'bytes', packets: 'packetsPerSecond', flows: 'flowsPerSecond' } as const satisfies Record<string, Message>

/** volumeName is what a volume of the metric counts. */
export const volumeName = (metric: Metric): string => (metric === 'bytes' ? 'B' : t(metric))

/** rowName is what a row is called: the server's label, but for keys that are better said here. */
export function rowName(key: Key, label: string): string {
  const values = Object.values(key)
  if ('in_if' in key || 'out_if' in key) {
    const n = key.in_if ?? key.out_if ?? null
    return `${key.exporter} · ${n === null ? t('noInterface') : t('interface', { n })}`
  }
  if ('src_addr' in key && 'dst_addr' in key) return `${key.src_addr ?? t('unknown')} → ${key.dst_addr ?? t('unknown')}`
  if (values.every((value) => value === null)) return t('unknown')
  return label
}

/** colourName is what a row's colour belongs to: its dimension and its name. */
export const colourName = (key: Key): string => JSON.stringify(key)

/** spanName says a span of milliseconds: "15 min". */
export function spanName(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds % 86_400 === 0 && seconds > 86_400) return t('days', { n: seconds / 86_400 })
  if (seconds % 3600 === 0) return t('hours', { n: seconds / 3600 })
  if (seconds % 60 === 0) return t('minutes', { n: seconds / 60 })
  return t('seconds', { n: seconds })
}
