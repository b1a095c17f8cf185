// One moment that all charts of a page point at: where the pointer is in one of
// them, the others draw their line too.

import { shallowRef } from 'vue'

export interface Cursor {
  time: number // ms
  /** Who set it: the chart under the pointer. */
  owner: symbol
}

export const cursor = shallowRef<Cursor | null>(null)
