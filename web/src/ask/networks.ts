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

/** The list, and which one it is: with its revision nobody's work is overwritten unseen. */
export const networkList = (signal?: AbortSignal): Promise<{ networks: Network[]; revision: string }> =>
  get<{ networks: Network[] | null; revision?: string }>('/api/networks', {}, signal).then((answer) => ({ networks: answer.networks ?? [], revision: answer.revision ?? '' }))

export const networks = (signal?: AbortSignal): Promise<Network[]> => networkList(signal).then((list) => list.networks)

export const setNetworks = (all: Network[], revision: string): Promise<unknown> => put('/api/networks', { networks: all, revision })
