// The interfaces of all exporters, with what they count now.

import { get } from './api'
import type { Role } from './roles'

export interface Port {
  exporter: string
  index: number
  name?: string
  description?: string
  alias?: string
  role?: Role
  named_by?: string
  /** bit/s; 0 where nobody told. */
  speed?: number
  up?: boolean | null
  /** Counted by the interface in the newest five minutes; null where that is not known. */
  in_bps?: number | null
  out_bps?: number | null
  in_discards_ps?: number | null
  out_discards_ps?: number | null
  in_errors_ps?: number | null
  out_errors_ps?: number | null
  in_verdict?: string
  out_verdict?: string
}

export const ports = (signal?: AbortSignal): Promise<Port[]> => get<{ interfaces: Port[] | null }>('/api/interfaces', {}, signal).then((answer) => answer.interfaces ?? [])
