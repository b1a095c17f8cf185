// Which colour a name has. The same name keeps its colour on the page, in the
// chart, its table and the rankings, however often the answer changes; Other
// has no entry, it is grey everywhere.

import { reactive } from 'vue'
import type { Key } from '@/ask/api'

/** How many names can be told apart; colours themselves are tokens in style.css. */
export const seriesColours = 9

export class ColourBook {
  private readonly index = reactive(new Map<string, number>())
  private readonly lastSeen: number[] = new Array<number>(seriesColours).fill(0)
  private round = 0

  /**
   * assign gives each of the names, shown together and most important first,
   * a colour of its own. Names known from before keep theirs; new ones take
   * the colour that has been out of sight longest.
   */
  assign(names: string[]): void {
    this.round++
    const taken = new Set<number>()
    const waiting: string[] = []
    for (const name of names) {
      const colour = this.index.get(name)
      if (colour === undefined || taken.has(colour)) waiting.push(name)
      else taken.add(colour)
    }
    for (const name of waiting) {
      const free = this.oldest(taken)
      if (free === undefined) break
      taken.add(free)
      this.index.set(name, free)
    }
    for (const colour of taken) this.lastSeen[colour] = this.round
  }

  private oldest(taken: Set<number>): number | undefined {
    let best: number | undefined
    for (let c = 0; c < seriesColours; c++) {
      if (!taken.has(c) && (best === undefined || this.lastSeen[c]! < this.lastSeen[best]!)) best = c
    }
    return best
  }

  /** of returns the CSS colour of a name, Other's grey for one that has none. */
  of(name: string): string {
    const colour = this.index.get(name)
    return colour === undefined ? 'var(--series-other)' : `var(--series-${colour})`
  }

  knows(name: string): boolean {
    return this.index.has(name)
  }
}

export const colours = new ColourBook()

/** outer is the part of a row's key that a hierarchy is coloured by: its first dimension's. */
export const outer = (by: string[], key: Key | undefined): Key | undefined => (key && by.length > 1 ? { [by[0]!]: key[by[0]!] ?? null } : key)

/** byOuter tells whether a chart of several dimensions is coloured by the first. */
export const byOuter = (chart: string): boolean => chart === 'sankey' || chart === 'treemap'
