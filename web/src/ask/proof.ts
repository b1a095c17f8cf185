// Flows against what interfaces counted themselves, and the sampling rates that
// were set by hand because of it.

import { ApiError, get, put } from './api'

export const verdicts = [
  'healthy', 'idle', 'unknown', 'not_metered', 'rate_not_applied', 'rate_wrong', 'rate_applied_twice', 'double_count', 'direction_missing',
  'half_missing', 'loss', 'load_loss', 'sawtooth', 'silent', 'protocol_missing', 'renumbered', 'too_high', 'too_low',
] as const
export type Verdict = (typeof verdicts)[number]
export type Direction = 'in' | 'out'

/** Verdicts that are no alarm. */
export const quiet: readonly string[] = ['healthy', 'idle', 'unknown', 'not_metered', '']

export interface Finding {
  direction: Direction
  /** Flow by counter; null where nothing was counted. */
  ratio: number | null
  /** How far off that may be because of sampling (95 %), as a part of it. */
  error: number
  verdict: string
  words: string
  mend: string
  /** The sampling rate that would make it right. */
  implied_rate?: number | null
  since?: string
}

/** A sampling rate that is used in place of what flows claim, in the past, too. */
export interface Override {
  exporter: string
  /** Only flows that came in there; 0 or left out: all of the exporter. */
  interface?: number
  from?: string
  to?: string
  rate: number
  note?: string
}

export interface Proved extends Finding {
  exporter: string
  index: number
  name?: string
  description?: string
  role?: string
  speed: number
  counter_bps: number
  flow_bps: number
  override: Override | null
}

/** A verdict that became another. */
export interface Change {
  at: string
  since: string
  exporter: string
  index: number
  direction: Direction
  was: string
  verdict: string
  words: string
}

export interface Proof {
  from: string
  to: string
  compared: number
  healthy: number
  interfaces: Proved[]
  changes?: Change[] | null
}

export interface ProofLines {
  step_seconds: number
  times: number[]
  speed?: number
  directions: (Finding & { counter_bps: (number | null)[]; flow_bps: (number | null)[]; low_bps: (number | null)[]; high_bps: (number | null)[] })[]
}

/** Who is asked by SNMP, and how it answers. */
export interface Device {
  address: string
  name?: string
  description?: string
  uptime_seconds?: number
  reachable: boolean
  last_polled?: string | null
  last_answer?: string | null
  error?: string
  interfaces: number
  poll_milliseconds: number
  version: string
}

/** absent makes null of an answer that a server without it gives: what is not there is not wrong. */
const absent = <T>(cause: unknown): T | null => {
  if (cause instanceof ApiError && cause.status === 404) return null
  throw cause
}

export const proof = (from: string, to: string, signal?: AbortSignal): Promise<Proof | null> => get<Proof>('/api/proof', { from, to }, signal).catch(absent<Proof>)
export const proofOf = (exporter: string, index: number, from: string, to: string, signal?: AbortSignal): Promise<ProofLines | null> =>
  get<ProofLines>(`/api/proof/${encodeURIComponent(exporter)}/${index}`, { from, to }, signal).catch(absent<ProofLines>)
export const devices = (signal?: AbortSignal): Promise<Device[]> => get<{ devices: Device[] | null }>('/api/devices', {}, signal).then((answer) => answer.devices ?? [], (cause) => absent<Device[]>(cause) ?? [])

interface Overrides {
  overrides: Override[] | null
  revision?: string
}

export const overrides = (signal?: AbortSignal): Promise<Override[]> => get<Overrides>('/api/sampling/overrides', {}, signal).then((answer) => answer.overrides ?? [], (cause) => absent<Override[]>(cause) ?? [])

const moment = (text: string | undefined) => (text ? Date.parse(text) : null)
/** same compares where and when, not the rate: an override of another time stays. */
const same = (a: Override, b: Override) => a.exporter === b.exporter && (a.interface ?? 0) === (b.interface ?? 0) && moment(a.from) === moment(b.from) && moment(a.to) === moment(b.to)

/** change writes the overrides as they are now but for one: it is set, or taken back. */
async function change(one: Override, edit: (others: Override[]) => Override[]): Promise<void> {
  const { overrides, revision } = await get<Overrides>('/api/sampling/overrides', {})
  await put('/api/sampling/overrides', { overrides: edit((overrides ?? []).filter((other) => !same(other, one))), ...(revision ? { revision } : {}) })
}

/** setOverride puts one first: of several that fit a flow the first counts. */
export const setOverride = (one: Override): Promise<void> => change(one, (others) => [one, ...others])
export const takeBack = (one: Override): Promise<void> => change(one, (others) => others)
