// Which page a value has: an address, an AS, an interface … are things that
// one can look at by themselves.

import type { RouteLocationRaw } from 'vue-router'
import { carried } from '@/ask/view'
import type { Key } from '@/ask/api'

/** pageOf finds the page of a row's key; null where no page is about it. Of a pair it is the first's. */
export function pageOf(key: Key): RouteLocationRaw | null {
  const to = (name: string, params: Record<string, string | number>): RouteLocationRaw => ({ name, params, query: carried.value })
  const has = (name: string): name is string => key[name] !== undefined && key[name] !== null && key[name] !== ''
  for (const port of ['in_if', 'out_if', 'if']) {
    if (has('exporter') && has(port)) return to('interface', { exporter: String(key.exporter), index: Number(key[port]) })
  }
  if (has('exporter')) return to('exporter', { exporter: String(key.exporter) })
  for (const [name, value] of Object.entries(key)) {
    if (value === null || value === '') continue
    if (/^(src_addr|dst_addr|ip)$/.test(name)) return to('address', { address: String(value) })
    if (/^(src_|dst_|prev_|next_)?as$/.test(name)) return to('as', { number: String(value) })
    if (/^(src_|dst_)?network$/.test(name)) return to('ownNetwork', { number: String(value) })
    if (/^(src_|dst_)?country$/.test(name)) return to('country', { country: String(value) })
  }
  return null
}
