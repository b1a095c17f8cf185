/** What is wrong now, of /api/alerts. */
import { get } from './api'
import { formatRange } from './state'

export interface Alert {
  kind: 'proof' | 'quality' | 'counting' | 'drops'
  what: string
  exporter: string
  interfaces: { index: number; name?: string; direction: 'in' | 'out' }[]
  since: string | null
  words: string
  mend: string
}

export const alerts = (signal?: AbortSignal): Promise<Alert[]> => get<{ alerts: Alert[] }>('/api/alerts', {}, signal).then((answer) => answer.alerts)

const minute = 60_000

/** around is the range that shows how it was before, and what it is now: from an hour before it began. */
export const around = (since: string | null, now: number): string =>
  since ? formatRange({ last: Math.ceil((now - Date.parse(since)) / minute + 60) * minute }) : '6h'
