// A panel's chart as a picture to take along: SVG, or PNG made of it. Colours
// are those on the screen, written out, for a file knows no style sheet.

import { inject, onBeforeUnmount, provide, shallowRef, type InjectionKey, type ShallowRef } from 'vue'

type Draw = () => Promise<string>
const key: InjectionKey<ShallowRef<Draw | null>> = Symbol('picture')

/** givesPicture is called by a panel: its value draws whatever chart is in it. */
export function givesPicture(): ShallowRef<Draw | null> {
  const draw = shallowRef<Draw | null>(null)
  provide(key, draw)
  return draw
}

/** isPicture is called by a chart: it says how it is drawn as SVG. */
export function isPicture(draw: Draw): void {
  const place = inject(key, null)
  if (!place) return
  place.value = draw
  onBeforeUnmount(() => {
    if (place.value === draw) place.value = null
  })
}

const plain = new Map<string, string>()

/** rgb says any CSS colour in the form that every program reads. */
function rgb(colour: string): string {
  const known = plain.get(colour)
  if (known) return known
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = 1
  const pen = canvas.getContext('2d', { willReadFrequently: true })!
  pen.fillStyle = colour
  pen.fillRect(0, 0, 1, 1)
  const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data
  const said = a === 255 ? `rgb(${r},${g},${b})` : a === 0 ? 'none' : `rgba(${r},${g},${b},${(a! / 255).toFixed(3)})`
  plain.set(colour, said)
  return said
}

/** written copies an SVG of the page with everything it has from style sheets. */
export function written(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement
  const from = [svg, ...svg.querySelectorAll<SVGElement>('*')]
  const to = [copy, ...copy.querySelectorAll<SVGElement>('*')]
  from.forEach((element, i) => {
    const style = getComputedStyle(element)
    const target = to[i]!
    for (const name of ['fill', 'stroke'] as const) if (target.hasAttribute(name)) target.setAttribute(name, style[name] === 'none' ? 'none' : rgb(style[name]))
    if (element.tagName === 'text') target.setAttribute('font-family', style.fontFamily)
    target.removeAttribute('class')
  })
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  copy.removeAttribute('style')
  const ground = document.createElementNS('http://www.w3.org/2000/svg', 'rect')
  for (const [name, value] of [['width', '100%'], ['height', '100%'], ['fill', rgb(getComputedStyle(document.documentElement).backgroundColor)]] as const) ground.setAttribute(name, value)
  copy.prepend(ground)
  return new XMLSerializer().serializeToString(copy)
}

/** png draws an SVG at twice its size. */
export async function png(svg: string): Promise<Blob> {
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }))
  try {
    const image = new Image()
    image.src = url
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = 2 * image.naturalWidth
    canvas.height = 2 * image.naturalHeight
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height)
    return await new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error('no picture'))), 'image/png'))
  } finally {
    URL.revokeObjectURL(url)
  }
}

/** download hands the reader a file. */
export function download(name: string, content: Blob): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
