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

/** One word of the language per dimension; a row's key may hold several. */
const words: Record<string, (value: KeyValue) => string> = {
  exporter: (v) => `router ip ${v}`,
  src_addr: (v) => `src ip ${v}`,
  dst_addr: (v) => `dst ip ${v}`,
  src_port: (v) => `src port ${v}`,
  dst_port: (v) => `dst port ${v}`,
  protocol: (v) => `proto ${protocolNames[Number(v)] ?? v}`,
  app: (v) => service(String(v)),
  src_as: (v) => `src as ${v}`,
  dst_as: (v) => `dst as ${v}`,
  in_if: (v) => `in if ${v}`,
  out_if: (v) => `out if ${v}`,
}

/** term says "this row" in the filter language; "" when it can't be said. */
export function term(key: Key): string {
  const dimensions = Object.keys(key)
  const sayable = dimensions.every((dimension) => dimension in words && key[dimension] !== null && key[dimension] !== '')
  if (!sayable) return ''
  // In the order of the table, whatever the order of the answer.
  return Object.entries(words)
    .filter(([dimension]) => dimension in key)
    .map(([dimension, word]) => word(key[dimension]!))
    .join(' and ')
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
