// Filter text made from a clicked value: the terms of the filter language for
// each dimension, and how a term joins what is already in the box.

import type { Key, KeyValue } from '@/ask/api'

/** Those that read better than their numbers. */
const protocolNames: Record<number, string> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 47: 'gre', 50: 'esp', 58: 'icmp6' }

/** service turns "443/tcp https" into what the language can say of it; "icmp" has no port. */
function service(name: string): string {
  const [, port, protocol] = /^(\d+)\/(\S+)/.exec(name) ?? []
  return port ? `proto ${protocol} and port ${port}` : `proto ${name}`
}

/** Words of the language itself; as values they are quoted: India is "IN". */
const reserved = /^(and|or|not|in|eq|ne|lt|le|gt|ge|contains|content|has|regex|present)$/i

/** text puts a value in quotes where it is more than a word, in those that it does not hold. */
function text(v: KeyValue): string {
  const said = String(v)
  if (/^[\w.:/-]+$/.test(said) && !reserved.test(said)) return said
  return said.includes('"') ? `'${said}'` : `"${said}"`
}

/** Classes of sizes and durations are told by their least; the next one's is their end. They are those of the rollups. */
const sizes = [0, 64, 128, 256, 512, 1024, 1501]
const durations = [0, 1, 100, 1000, 10_000, 60_000, 300_000, 1_800_000] // ms
const within = (what: string, begins: number[]) => (v: KeyValue) => {
  const next = begins.find((begin) => begin > Number(v))
  return next === undefined ? `${what} >= ${v}` : `${what} >= ${v} and ${what} < ${next}`
}

/** What the language calls a dimension better than by its column's name; a row's key may hold several. */
const words: Record<string, (value: KeyValue) => string> = {
  exporter: (v) => `router ip ${v}`,
  src_addr: (v) => `src ip ${v}`,
  dst_addr: (v) => `dst ip ${v}`,
  ip: (v) => `ip ${v}`,
  src_port: (v) => `src port ${v}`,
  dst_port: (v) => `dst port ${v}`,
  port: (v) => `port ${v}`,
  protocol: (v) => `proto ${protocolNames[Number(v)] ?? v}`,
  app: (v) => service(String(v)),
  src_as: (v) => `src as ${v}`,
  dst_as: (v) => `dst as ${v}`,
  as: (v) => `as ${v}`,
  prev_as: (v) => `prev as ${v}`,
  next_as: (v) => `next as ${v}`,
  in_if: (v) => `in if ${v}`,
  out_if: (v) => `out if ${v}`,
  if: (v) => `if ${v}`,
  in_role: (v) => `in role ${text(v)}`,
  out_role: (v) => `out role ${text(v)}`,
  ip_version: (v) => (Number(v) === 6 ? 'ipv6' : 'ipv4'),
  packet_size: within('bpp', sizes),
  duration: within('duration', durations),
  // Behind the word network stands a name; of two networks it may be the same.
  network: (v) => `(src_network ${v} or dst_network ${v})`,
  next_hop: (v) => `next ip ${v}`,
  ...Object.fromEntries(['country', 'customer', 'site'].flatMap((name) => [[name, (v: KeyValue) => `${name} ${text(v)}`], [`src_${name}`, (v: KeyValue) => `src ${name} ${text(v)}`], [`dst_${name}`, (v: KeyValue) => `dst ${name} ${text(v)}`]])),
}

/** What can be asked by its column's name, as numbers and words are. */
const columns = ['dscp', 'tos', 'tcp_flags', 'icmp_type', 'icmp_code', 'direction', 'forwarding_status', 'sampling_rate', 'ttl', 'src_vlan', 'dst_vlan', 'vlan', 'src_mask', 'dst_mask', 'bgp_next_hop', 'export_protocol', 'flow_end_reason', 'handshake_time', 'src_mac', 'dst_mac', 'mac', 'mask', 'src_network', 'dst_network', 'observation_domain', 'ether_type', 'min_packet_length', 'max_packet_length', 'sampling_source', 'src_as_source', 'dst_as_source']

function word(dimension: string, value: KeyValue): string | null {
  const [base, ...lengths] = dimension.split('/')
  if (lengths.length > 0) {
    const side = base === 'src_addr' ? 'src ' : base === 'dst_addr' ? 'dst ' : base === 'ip' ? '' : null
    return side === null ? null : `${side}net ${value}`
  }
  return words[dimension]?.(value) ?? (columns.includes(dimension) ? `${dimension} ${text(value)}` : null)
}

/** term says "this row" in the filter language; "" when it can't be said. */
export function term(key: Key): string {
  const order = Object.keys(words)
  const said = Object.keys(key)
    .sort((a, b) => order.indexOf(a) - order.indexOf(b)) // in the order of the table, whatever the order of the answer
    .map((dimension) => (key[dimension] === null || key[dimension] === '' ? null : word(dimension, key[dimension]!)))
  return said.includes(null) ? '' : said.join(' and ')
}

/** only narrows a filter to a term. */
export function only(filter: string, what: string): string {
  return filter.trim() === '' ? what : `${operand(filter)} and ${what}`
}

/** without takes a term out of a filter's answer. */
export function without(filter: string, what: string): string {
  const negated = what.includes(' and ') ? `not (${what})` : `not ${what}`
  return filter.trim() === '' ? negated : `${operand(filter)} and ${negated}`
}

/** operand puts a filter in parentheses where "and" would bind tighter than it. */
function operand(filter: string): string {
  const text = filter.trim()
  let depth = 0
  for (const token of text.match(/"[^"]*"|[()]|\|\||[^\s()|"]+/g) ?? []) {
    if (token === '(') depth++
    else if (token === ')') depth--
    else if (depth === 0 && (token === '||' || token.toLowerCase() === 'or')) return `(${text})`
  }
  return text
}

/** tokens cuts a filter into words, brackets and quoted texts. */
const tokens = (filter: string) => [...filter.matchAll(/"[^"]*"?|[()[\]]|\|\||&&|[^\s()[\]|&"]+/g)].map((match) => ({ text: match[0], at: match.index }))

/** terms are what a filter joins by "and"; a filter with an "or" that binds them all is one. */
export function terms(filter: string): string[] {
  let depth = 0
  const cuts: { at: number; length: number }[] = []
  for (const { text, at } of tokens(filter)) {
    const word = text.toLowerCase()
    if (text === '(' || text === '[') depth++
    else if (text === ')' || text === ']') depth--
    else if (depth === 0 && (word === 'or' || word === '||')) return [filter.trim()].filter((one) => one !== '')
    else if (depth === 0 && (word === 'and' || word === '&&')) cuts.push({ at, length: text.length })
  }
  let from = 0
  const out: string[] = []
  for (const cut of [...cuts, { at: filter.length, length: 0 }]) {
    out.push(filter.slice(from, cut.at).trim())
    from = cut.at + cut.length
  }
  return out.filter((one) => one !== '')
}

export const joined = (list: string[]): string => (list.length === 1 ? list[0]! : list.map(operand).join(' and '))

/** What of the data can stand behind the words before the cursor: a dimension, and how a row of it is written. */
export function valuesAfter(before: string): { by: string; say: (key: KeyValue, label: string) => string } | null {
  const words = before.trim().toLowerCase().split(/\s+/)
  const [side, what] = [words.at(-2) ?? '', words.at(-1) ?? '']
  const prefix = side === 'src' || side === 'dst' ? `${side}_` : ''
  const plain = (key: KeyValue) => String(key)
  const quoted = (_: KeyValue, label: string) => text(label)
  if (what === 'ip' || what === 'host') return side === 'router' ? { by: 'exporter', say: plain } : side === 'next' ? { by: 'next_hop', say: plain } : { by: prefix ? `${prefix}addr` : 'ip', say: plain }
  if (what === 'net') return { by: prefix ? `${prefix}addr/24/48` : 'src_addr/24/48', say: plain }
  if (what === 'port') return { by: `${prefix}port`, say: plain }
  if (what === 'as') return { by: side === 'prev' || side === 'next' ? `${side}_as` : `${prefix}as`, say: plain }
  if (what === 'proto') return { by: 'protocol', say: (key) => protocolNames[Number(key)] ?? String(key) }
  if (what === 'country') return { by: `${prefix}country`, say: (key) => text(key) }
  if (what === 'network' || what === 'customer' || what === 'site') return { by: `${prefix}${what}`, say: quoted }
  if (what === 'if') return side === 'in' || side === 'out' ? { by: `${side}_if`, say: plain } : { by: 'if', say: plain }
  if (columns.includes(what)) return { by: what, say: (key) => text(key) }
  return null
}
