// Drives the console in a headless Chromium and prints, as JSON, what a person
// would have read: `node drive.mjs URL [SCREENSHOT]`. It judges nothing; the
// Go test does, which knows what should be there.
//
// Steps: open; type a filter; reload; type a wrong filter; go back.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [url, screenshot] = process.argv.slice(2)
const profile = mkdtempSync(join(tmpdir(), 'minamo-browser-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  viewport: { width: 1280, height: 1000 },
  colorScheme: 'light',
  locale: 'en-GB',
  timezoneId: 'UTC',
})

const seen = { errors: [], elsewhere: [], steps: {} }
try {
  const page = browser.pages()[0] ?? (await browser.newPage())
  page.setDefaultTimeout(30_000)
  page.on('console', (m) => m.type() === 'error' && seen.errors.push(m.text()))
  page.on('pageerror', (e) => seen.errors.push(String(e)))
  page.on('request', (r) => {
    if (!r.url().startsWith(new URL(url).origin) && !r.url().startsWith('data:')) seen.elsewhere.push(r.url())
  })

  const figure = (id) => page.getByTestId(id).first().getAttribute('data-value')
  const rows = (id) =>
    page.getByTestId(id).locator('tr[data-key]').evaluateAll((all) =>
      all.map((tr) => ({
        // Of the interfaces' two tables the first is "in", the second "out".
        table: [...tr.closest('[data-testid]').querySelectorAll('table')].indexOf(tr.closest('table')) > 0 ? 'out' : 'in',
        key: tr.dataset.key,
        flows: +tr.dataset.flows,
        packets: +tr.dataset.packets,
        bytes: +tr.dataset.bytes,
      })),
    )
  const read = async () => ({
    address: page.url(),
    filter: await page.getByTestId('filter-input').inputValue(),
    flows: await figure('total-flows'),
    packets: await figure('total-packets'),
    bytes: await figure('total-bytes'),
    nowFlows: await figure('now-flows'),
    nowPackets: await figure('now-packets'),
    nowBits: await figure('now-bits'),
    series: await rows('series-table'),
    talkers: await rows('top-talkers'),
    interfaces: await rows('top-interfaces'),
    charts: await page.locator('[data-testid=series-chart] canvas, [data-testid=series-chart] svg').count(),
  })
  // settled resolves when every question of the page is answered and shown.
  const settled = async () => {
    await page.waitForLoadState('networkidle')
    await page.waitForFunction(() => document.querySelector('[data-testid=total-flows]')?.hasAttribute('data-value'))
    await page.waitForFunction(() => document.querySelector('[data-testid=series-table] tr[data-key]') && !document.querySelector('[aria-busy=true]'))
  }
  const filter = async (text) => {
    await page.getByTestId('filter-input').fill(text)
    await page.getByTestId('filter-input').press('Enter')
  }

  await page.goto(url)
  await settled()
  seen.steps.open = await read()
  if (screenshot) await page.screenshot({ path: screenshot })

  const before = seen.steps.open.flows
  await filter('proto udp')
  await page.waitForFunction((n) => document.querySelector('[data-testid=total-flows]')?.dataset.value !== n, before)
  await settled()
  seen.steps.filtered = await read()

  await page.reload()
  await settled()
  seen.steps.reloaded = await read()

  await filter('proto udp and prot tcp')
  const wrong = page.getByTestId('filter-error')
  await wrong.waitFor()
  seen.steps.wrong = { ...(await read()), message: await wrong.innerText(), column: await wrong.getAttribute('data-column') }

  await page.goto(url)
  await settled()
  seen.steps.back = await read()
} finally {
  await browser.close()
  rmSync(profile, { recursive: true, force: true })
}
console.log(JSON.stringify(seen))
