// What Ctrl-K finds: names by some letters of their words, and what an address,
// a prefix or an AS number means by itself.

export interface Goal {
  text: string
  /** What else it is found by. */
  more?: string
  kind: string
}

/** meant reads what was typed as an address, a prefix or an AS number. */
export function meant(typed: string): { kind: 'address' | 'prefix' | 'as'; value: string } | null {
  const text = typed.trim()
  const as = /^as ?(\d{1,10})$/i.exec(text)
  if (as && Number(as[1]) < 2 ** 32) return { kind: 'as', value: String(Number(as[1])) }
  const [address = '', length, ...rest] = text.split('/')
  if (rest.length > 0 || !isAddress(address)) return null
  if (length === undefined) return { kind: 'address', value: address }
  const most = address.includes(':') ? 128 : 32
  return /^\d{1,3}$/.test(length) && Number(length) <= most ? { kind: 'prefix', value: text } : null
}

function isAddress(text: string): boolean {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return text.split('.').every((part) => Number(part) <= 255)
  if (!/^[\da-f:]*:[\da-f:]*$/i.test(text)) return false
  const groups = text.split(':')
  const short = text.split('::').length - 1
  if (short > 1 || groups.some((group) => group.length > 4)) return false
  const filled = groups.filter((group) => group !== '').length
  return short === 1 ? filled <= 7 : filled === 8
}

/** ranked finds goals in which each typed word begins a word, or stands within one; the former first. */
export function ranked<G extends Goal>(goals: G[], typed: string): G[] {
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== '')
  if (words.length === 0) return goals.slice(0, 12)
  return goals
    .map((goal, order) => {
      const text = `${goal.text} ${goal.more ?? ''}`.toLowerCase()
      const pieces = text.split(/[\s/(),→·-]+/)
      let score = 0
      for (const word of words) {
        if (!text.includes(word)) return null
        score += pieces.some((piece) => piece.startsWith(word)) ? 2 : 1
        if (goal.text.toLowerCase().startsWith(word)) score += 2
      }
      return { goal, score, order }
    })
    .filter((one) => one !== null)
    .sort((a, b) => b.score - a.score || a.order - b.order)
    .map((one) => one.goal)
}
