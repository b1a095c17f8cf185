// Pointing at what a chart draws of a report's rows, with the pointer or with
// keys: arrows go from row to row, Enter picks one. What stands for row i is
// marked data-row="i".

import { nextTick, ref, type Ref } from 'vue'

export function usePointing(frame: Ref<HTMLElement | undefined>, lit: Ref<number | null>, rows: () => number) {
  const pointer = ref({ x: 0, y: 0 })
  /** Whether it is here that one points: a row may be lit from the table. */
  const here = ref(false)

  function move(event: PointerEvent, row: number | null): void {
    const box = frame.value!.getBoundingClientRect()
    pointer.value = { x: event.clientX - box.left, y: event.clientY - box.top }
    here.value = true
    lit.value = row
  }

  function leave(): void {
    here.value = false
    lit.value = null
  }

  const mark = (row: number) => frame.value?.querySelector<SVGElement>(`[data-row="${row}"]`)

  async function key(event: KeyboardEvent): Promise<void> {
    const forward = event.key === 'ArrowRight' || event.key === 'ArrowDown'
    if (forward || event.key === 'ArrowLeft' || event.key === 'ArrowUp') {
      event.preventDefault()
      // What is not drawn, for it is elsewhere or too small, is stepped over.
      const order = Array.from({ length: rows() }, (_, i) => i).filter((i) => mark(i))
      if (order.length === 0) return
      const at = lit.value === null ? -1 : order.indexOf(lit.value)
      lit.value = order[at < 0 ? 0 : (at + (forward ? 1 : -1) + order.length) % order.length]!
      here.value = true
      await nextTick()
      const [box, inside] = [mark(lit.value)?.getBoundingClientRect(), frame.value!.getBoundingClientRect()]
      if (box) pointer.value = { x: box.left + box.width / 2 - inside.left, y: box.top + box.height / 2 - inside.top }
    } else if (event.key === 'Enter' && lit.value !== null) {
      event.preventDefault()
      const { left, top } = frame.value!.getBoundingClientRect()
      mark(lit.value)?.dispatchEvent(new MouseEvent('click', { bubbles: true, detail: 1, clientX: left + pointer.value.x, clientY: top + pointer.value.y }))
    } else if (event.key === 'Escape' && lit.value !== null) {
      event.preventDefault()
      event.stopPropagation()
      leave()
    }
  }

  return { pointer, here, move, leave, key }
}

/** short cuts a name to a width in pixels, of 12 px type. */
export function short(name: string, width: number): string {
  const letters = [...name]
  const wide = (letter: string) => (/[\u1100-\u11ff\u2e80-\uffef]/.test(letter) ? 12 : 6.7)
  let used = 0
  const fit = letters.findIndex((letter) => (used += wide(letter)) > width)
  return fit < 0 ? name : fit < 3 ? '' : `${letters.slice(0, fit - 1).join('')}…`
}
