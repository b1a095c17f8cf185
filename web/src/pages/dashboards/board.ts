// Dashboards: arranged panels, kept by the server, each with a name in the
// address. The overview is one of them, with an arrangement of its own until
// somebody saves another.

import { get, put, remove } from '@/ask/api'
import type { Parameters } from '@/ask/state'

export interface BoardPanel {
  id: string
  title: string
  /** What it asks and how it draws that: the query of an Explore address; or widget=NAME. */
  view: string
  /** Of 12 columns. */
  width: number
  /** Of its chart, in steps of 20 px; 0 is as usual. */
  height: number
}

export interface Board {
  name: string
  title: string
  description: string
  panels: BoardPanel[]
  updated?: string
}

export type Widget = 'boundary' | 'exporters' | 'alerts'

/** parametersOf reads a panel's view; of a repeated parameter the last counts. */
export const parametersOf = (view: string): Parameters => Object.fromEntries(new URLSearchParams(view))

/** The overview, until somebody arranges it otherwise. */
export const overview: Board = {
  name: 'overview',
  title: '',
  description: '',
  panels: [
    { id: 'traffic', title: '', view: 'widget=boundary', width: 8, height: 15 },
    { id: 'applications', title: '', view: 'by=app&chart=table&top=9', width: 4, height: 0 },
    { id: 'sources', title: '', view: 'by=src_addr&chart=table&top=8', width: 4, height: 0 },
    { id: 'destinations', title: '', view: 'by=dst_addr&chart=table&top=8', width: 4, height: 0 },
    { id: 'source-ases', title: '', view: 'by=src_as&chart=table&top=8', width: 4, height: 0 },
    { id: 'countries', title: '', view: 'by=src_country&chart=map&top=40&show=chart', width: 8, height: 16 },
    { id: 'exporters', title: '', view: 'widget=exporters', width: 4, height: 0 },
    { id: 'interfaces-in', title: '', view: 'by=exporter,in_if&chart=table&top=8', width: 4, height: 0 },
    { id: 'interfaces-out', title: '', view: 'by=exporter,out_if&chart=table&top=8', width: 4, height: 0 },
    { id: 'alerts', title: '', view: 'widget=alerts', width: 4, height: 0 },
  ],
}

const at = (name: string) => `/api/dashboards/${encodeURIComponent(name)}`

export const list = (signal?: AbortSignal) => get<{ dashboards: Board[] }>('/api/dashboards', {}, signal).then((answer) => answer.dashboards)

/** load gets a dashboard; null where the server has none of the name, which is no fault of the overview's. */
export const load = async (name: string, signal?: AbortSignal): Promise<Board | null> =>
  (await list(signal)).some((board) => board.name === name) ? get<Board>(at(name), {}, signal) : null

/** save keeps it; the server refuses it with 409 when somebody else wrote since it was read. */
export const save = ({ name, ...body }: Board): Promise<unknown> => put(at(name), body)

export const forget = (name: string): Promise<void> => remove(at(name))

/** slug makes a name for addresses of a title. */
export function slug(title: string): string {
  const plain = title.normalize('NFKD').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60)
  return plain || `board-${Date.now().toString(36)}`
}

/** move puts the panel of an id before that of another, or at the end. */
export function move(panels: BoardPanel[], id: string, before: string | null): BoardPanel[] {
  const one = panels.find((panel) => panel.id === id)
  if (!one || id === before) return panels
  const rest = panels.filter((panel) => panel !== one)
  const at = before === null ? rest.length : rest.findIndex((panel) => panel.id === before)
  return at < 0 ? panels : [...rest.slice(0, at), one, ...rest.slice(at)]
}
