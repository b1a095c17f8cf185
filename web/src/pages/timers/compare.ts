// What differs between the same traffic drawn twice: spread over the time of its
// flows, and each flow whole where it ended.

/** steps that the page offers, in seconds. */
export const steps = [10, 60, 300] as const

/** stepFor a range shows the seconds of a minute where that is not too much to draw. */
export function stepFor(milliseconds: number): number {
  return steps.find((step) => milliseconds / 1000 / step <= 800) ?? steps.at(-1)!
}

/** bestRange is one, in milliseconds, in which an active timer of so many seconds is well seen: some of its lengths. */
export const bestRange = (activeSeconds: number): number => (activeSeconds > 900 ? 6 * 3_600_000 : activeSeconds > 120 ? 3_600_000 : 900_000)

export interface Difference {
  /** Mean distance of the two, as a part of the mean. */
  off: number
  /** The highest point of each. */
  spread: number
  whole: number
  /** Of all points: those of less than a quarter of what flowed. */
  gaps: number
}

/** differenceOf two series of the same points; null where nothing flowed. The last points lack flows that are still to come. */
export function differenceOf(spread: readonly number[], whole: readonly number[]): Difference | null {
  const mean = spread.reduce((sum, value) => sum + value, 0) / spread.length
  if (!(mean > 0)) return null
  const distance = spread.reduce((sum, value, i) => sum + Math.abs(value - (whole[i] ?? 0)), 0) / spread.length
  const gaps = spread.filter((value, i) => value > 0 && (whole[i] ?? 0) < value / 4).length
  return { off: distance / mean, spread: Math.max(...spread), whole: Math.max(...whole), gaps: gaps / spread.length }
}
