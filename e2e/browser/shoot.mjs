// Takes pictures of the console: `node shoot.mjs URL DIR [NAME…]`, of each page
// by day and by night, in English and Japanese, and on a phone.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { settled, withPage } from './browser.mjs'

const [url, dir, ...only] = process.argv.slice(2)
mkdirSync(dir, { recursive: true })
const pages = {
  overview: '/',
  explore: '/explore?by=app&mirror=1&compare=24h',
  lines: '/explore?by=src_as&chart=lines',
  sankey: '/explore?by=src_as,app,dst_country&chart=sankey&top=30',
  treemap: '/explore?by=app,src_as&chart=treemap&top=60',
  heatmap: '/explore?by=app&chart=heatmap&top=12',
  reports: '/reports',
  size: '/reports/packet-size',
  map: '/reports/country-source',
  flows: '/flows?range=15m',
  network: '/network',
  exporters: '/exporters',
  interfaces: '/interfaces',
  proof: '/proof',
  timers: '/timers?exporter=127.1.0.5&range=1h',
  counting: '/counting',
  drops: '/drops',
  budget: '/budget',
  exporter: '/exporters/127.1.0.4',
  interface: '/interfaces/127.1.0.1/7',
  address: '/addresses/198.18.8.28',
  settings: '/settings/networks',
}
const seen = { errors: [], elsewhere: [] }
for (const [suffix, theme, language, viewport] of [
  ['', 'paper', 'en', { width: 1440, height: 900 }],
  ['-night', 'night', 'ja', { width: 1440, height: 900 }],
  ['-phone', 'paper', 'en', { width: 390, height: 844 }],
]) {
  await withPage(url, seen, { viewport, timezoneId: 'Asia/Tokyo' }, async (page) => {
    await page.addInitScript(([t, l]) => (localStorage.setItem('minamo.theme', t), localStorage.setItem('minamo.language', l)), [theme, language])
    for (const [name, path] of Object.entries(pages)) {
      if (only.length > 0 && !only.includes(name)) continue
      await page.goto(url + path)
      await settled(page)
      await page.waitForTimeout(500)
      await page.screenshot({ path: join(dir, `${name}${suffix}.png`) })
    }
  })
}
if (seen.errors.length + seen.elsewhere.length > 0) {
  console.error(seen)
  process.exit(1)
}
