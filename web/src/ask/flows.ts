// Single flow records, a page after the other, the newest first.

import { get, type KeyValue, type Meta } from './api'
import type { Question } from './api'

export type FlowRecord = Record<string, KeyValue>

export interface FlowPage {
  rows: FlowRecord[]
  more: boolean
  meta: Meta
}

export const flows = async (q: Question, limit: number, signal?: AbortSignal): Promise<FlowPage> => {
  const page = await get<FlowPage & { rows: FlowRecord[] | null }>('/api/flows', { ...q, limit }, signal)
  return { ...page, rows: page.rows ?? [] }
}

/**
 * older finds what comes after the rows that are known. Many flows may begin at
 * the same millisecond as the last: the question reaches over it, and what is
 * known already is left out.
 */
export async function older(known: FlowRecord[], q: Question, limit: number, signal?: AbortSignal): Promise<FlowPage> {
  const last = known.at(-1)
  if (!last) return flows(q, limit, signal)
  const start = Date.parse(String(last.start))
  const same = known.filter((row) => row.start === last.start).map((row) => JSON.stringify(row))
  const page = await flows({ ...q, to: new Date(start + 1).toISOString() }, limit + same.length, signal)
  const left = [...same]
  const rows = page.rows.filter((row) => {
    const at = row.start === last.start ? left.indexOf(JSON.stringify(row)) : -1
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
  return { ...page, rows }
}
