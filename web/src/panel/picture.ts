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

/** painted says a colour of the style sheet, var(--x), so that a file can hold it. */
export const painted = (colour: string): string => rgb(colour.replace(/^var\((.*)\)$/, (_, name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()))

export interface Caption {
  title: string
  /** Beneath the title: of which time, and of which flows. */
  note: string
  /** What the chart's colours mean, where it does not say so itself. */
  legend: { name: string; colour: string }[]
  colours: { ink: string; muted: string; ground: string }
  font: string
}

const namespace = 'http://www.w3.org/2000/svg'

/** drawIn adds an element to an SVG; names are text, whatever they hold. */
export function drawIn(parent: Element, tag: string, attributes: Record<string, string | number>, text = ''): Element {
  const element = parent.ownerDocument.createElementNS(namespace, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  element.textContent = text
  parent.append(element)
  return element
}

/** captioned puts a title above a picture and a legend below: it will be seen without the page. */
export function captioned(svg: string, { title, note, legend, colours, font }: Caption): string {
  const page = new DOMParser().parseFromString(`<svg xmlns="${namespace}"/>`, 'image/svg+xml')
  const inner = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement
  const [width, height] = [parseFloat(inner.getAttribute('width') ?? ''), parseFloat(inner.getAttribute('height') ?? '')]
  if (!(width > 0 && height > 0)) throw new Error('the chart gave no picture')
  const [margin, head, line] = [16, 52, 20]
  const columns = Math.max(1, Math.floor(width / 260))
  const whole = { width: width + 2 * margin, height: head + height + (legend.length > 0 ? line * Math.ceil(legend.length / columns) + 12 : 0) + margin }
  const outer = page.documentElement
  outer.setAttribute('width', String(whole.width))
  outer.setAttribute('height', String(whole.height))
  outer.setAttribute('font-family', font)
  drawIn(outer, 'rect', { width: '100%', height: '100%', fill: colours.ground })
  drawIn(outer, 'text', { x: margin, y: 24, 'font-size': 15, 'font-weight': 600, fill: colours.ink }, title)
  drawIn(outer, 'text', { x: margin, y: 42, 'font-size': 12, fill: colours.muted }, note)
  const chart = page.importNode(inner, true)
  chart.setAttribute('x', String(margin))
  chart.setAttribute('y', String(head))
  outer.append(chart)
  const letters = Math.floor((width / columns - 24) / 7)
  legend.forEach(({ name, colour }, i) => {
    const x = margin + (i % columns) * (width / columns)
    const y = head + height + 18 + Math.floor(i / columns) * line
    drawIn(outer, 'rect', { x, y: y - 9, width: 10, height: 10, rx: 2, fill: colour })
    drawIn(outer, 'text', { x: x + 16, y, 'font-size': 12, fill: colours.ink }, name.length > letters ? `${name.slice(0, letters - 1)}…` : name)
  })
  return new XMLSerializer().serializeToString(outer)
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
