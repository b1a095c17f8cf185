import { afterEach, expect, it, vi } from 'vitest'
import { older, type FlowRecord } from './flows'

afterEach(() => vi.unstubAllGlobals())

/** A server that holds these flows, the newest first. */
function serve(all: FlowRecord[]) {
  vi.stubGlobal('fetch', async (path: string) => {
    const q = new URL(path, 'http://x').searchParams
    const rows = all.filter((row) => Date.parse(String(row.start)) < Date.parse(q.get('to')!))
    const limit = Number(q.get('limit'))
    return new Response(JSON.stringify({ rows: rows.slice(0, limit), more: rows.length > limit, meta: {} }))
  })
}

it('shows each flow once, also those that begin together', async () => {
  const at = (ms: number) => new Date(Date.UTC(2026, 10, 23) + ms).toISOString()
  const all: FlowRecord[] = [9, 9, 7, 5, 5, 5, 5, 5, 3, 1].map((ms, i) => ({ start: at(ms), src_port: i === 4 ? 3 : i }))
  serve(all)
  const q = { from: at(0), to: at(20), filter: '', raw: false }
  let known: FlowRecord[] = []
  for (;;) {
    const page = await older(known, q, 2)
    known = [...known, ...page.rows]
    if (!page.more || page.rows.length === 0) break
  }
  expect(known).toEqual(all)
})
