// The operator's own networks: prefixes with a name, a customer, a site.

import { get, put } from './api'

export interface Network {
  /** In flows; 0 of a new one. */
  number: number
  name: string
  customer?: string
  site?: string
  prefixes: string[]
  /** It has been removed; old flows still have its number. */
  retired?: boolean
}

export const networks = (signal?: AbortSignal): Promise<Network[]> => get<{ networks: Network[] | null }>('/api/networks', {}, signal).then((answer) => answer.networks ?? [])

export const setNetworks = (all: Network[]): Promise<unknown> => put('/api/networks', { networks: all })
