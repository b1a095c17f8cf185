// What can be asked: dimensions and metrics, from the server, once.

import { shallowRef } from 'vue'
import { api, type Fields } from '@/ask/api'

export const fields = shallowRef<Fields | null>(null)
let asked = false

/** needFields asks for them if nobody did; a failure may be tried again. */
export function needFields(): void {
  if (asked) return
  asked = true
  api.fields().then(
    (answer) => (fields.value = answer),
    () => (asked = false),
  )
}

/** What operators group by most; the others follow by name. */
export const usualDimensions = [
  'protocol', 'app', 'src_addr', 'dst_addr', 'ip', 'src_addr/24/48', 'dst_addr/24/48', 'src_as', 'dst_as', 'as', 'prev_as', 'next_as',
  'src_country', 'dst_country', 'country', 'src_network', 'dst_network', 'network', 'customer', 'site', 'exporter', 'in_if', 'out_if', 'if', 'in_role', 'out_role',
  'src_port', 'dst_port', 'tcp_flags', 'dscp', 'packet_size', 'duration', 'ip_version', 'direction', 'forwarding_status', 'sampling_rate', 'next_hop', 'icmp_type',
]

/** dimensionsFor lists names that match what was typed, the usual ones first. */
export function dimensionsFor(all: Fields, typed: string, title: (name: string) => string): { name: string; doc: string }[] {
  const docs = new Map(all.dimensions.map((d) => [d.name, d.doc]))
  const known = (name: string) => docs.has(name) || docs.has(name.split('/')[0]!)
  const names = [...usualDimensions.filter(known), ...all.dimensions.map((d) => d.name).filter((name) => !usualDimensions.includes(name))]
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== '')
  const found = names.filter((name) => words.every((word) => name.includes(word) || title(name).toLowerCase().includes(word)))
  // An address by a prefix of any length can be typed.
  if (/^\w+_addr\/\d{1,3}(\/\d{1,3})?$/.test(typed) && known(typed) && !found.includes(typed)) found.unshift(typed)
  return found.map((name) => ({ name, doc: docs.get(name) ?? docs.get(name.split('/')[0]!) ?? '' }))
}
