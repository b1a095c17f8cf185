import { expect, it } from 'vitest'
import { captioned } from './picture'

const colours = { ink: 'rgb(1,1,1)', muted: 'rgb(2,2,2)', ground: 'rgb(3,3,3)' }
const chart = '<svg xmlns="http://www.w3.org/2000/svg" width="600" height="200"><path d="M0,0"/></svg>'
const read = (svg: string) => new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement

it('puts a title above a picture and a legend below', () => {
  const legend = [1, 2, 3].map((n) => ({ name: `line ${n}`, colour: `rgb(${n},0,0)` }))
  const svg = read(captioned(chart, { title: 'Traffic', note: 'today', legend, colours, font: 'sans-serif' }))
  expect([...svg.querySelectorAll('text')].map((text) => text.textContent)).toEqual(['Traffic', 'today', 'line 1', 'line 2', 'line 3'])
  const inner = svg.querySelector('svg')!
  expect(inner.querySelector('path')).not.toBeNull()
  // All of it is inside, the legend's two lines too.
  const height = Number(svg.getAttribute('height'))
  expect(Number(svg.getAttribute('width'))).toBeGreaterThanOrEqual(600 + Number(inner.getAttribute('x')))
  for (const text of svg.querySelectorAll('text')) expect(Number(text.getAttribute('y'))).toBeLessThan(height)
  expect(Number(inner.getAttribute('y')) + 200).toBeLessThan(height)
})

it('writes names as text, whatever they hold', () => {
  const name = '<script>alert(1)</script>&"'
  const text = captioned(chart, { title: name, note: '', legend: [], colours, font: 'sans-serif' })
  expect(text).not.toContain('<script')
  expect(read(text).querySelector('text')!.textContent).toBe(name)
})
