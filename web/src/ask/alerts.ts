/** What is wrong now, of /api/alerts. */
import { get } from './api'

export interface Alert {
  kind: 'proof' | 'quality'
  what: string
  exporter: string
  interfaces: { index: number; name?: string; direction: 'in' | 'out' }[]
  since: string | null
  words: string
  mend: string
}

export const alerts = (signal?: AbortSignal): Promise<Alert[]> => get<{ alerts: Alert[] }>('/api/alerts', {}, signal).then((answer) => answer.alerts)
