// Drives the console and prints, as JSON, what a person would have read:
// `node drive.mjs URL`. It judges nothing; the Go test does, which knows what
// should be there.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { settled, withPage } from './browser.mjs'

const [url, exporter] = process.argv.slice(2)
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const seen = { errors: [], elsewhere: [], steps: {}, pages: {}, faults: [] }
const range = 'range=1h&refresh=0'

await withPage(url, seen, {}, async (page) => {
  const figure = (id) => page.getByTestId(id).first().getAttribute('data-value')
  /** The rows of all tables on the page, by the panel they are in. */
  const rows = () =>
    page.locator('tr[data-bytes]').evaluateAll((all) =>
      all.map((tr) => ({
        panel: tr.closest('[data-panel]')?.dataset.panel ?? tr.closest('[data-testid=explore],[data-testid=report]')?.dataset.testid ?? '',
        key: tr.dataset.key,
        other: tr.classList.contains('text-muted'),
        flows: +tr.dataset.flows,
        packets: +tr.dataset.packets,
        bytes: +tr.dataset.bytes,
      })),
    )
  const draft = () => page.getByTestId('filter').getAttribute('data-draft')
  const read = async () => ({
    address: page.url(),
    filter: await draft(),
    flows: await figure('total-flows'),
    packets: await figure('total-packets'),
    bytes: await figure('total-bytes'),
    nowFlows: await figure('now-flows'),
    nowPackets: await figure('now-packets'),
    nowBits: await figure('now-bits'),
    rows: await rows(),
    charts: await page.locator('[data-testid=series-chart] canvas').count(),
  })
  const ready = async () => {
    await page.waitForFunction(() => document.querySelector('[data-testid=total-flows]')?.hasAttribute('data-value'))
    await page.waitForSelector('tr[data-bytes]')
    await page.waitForSelector('.cm-content')
    await settled(page)
  }
  const filter = async (text) => {
    await page.locator('.cm-content').fill(text)
    await page.locator('.cm-content').press('Enter')
  }

  // The overview: filter, reload, a wrong filter, back.
  await page.goto(`${url}/?${range}`)
  await ready()
  seen.steps.open = await read()
  const before = seen.steps.open.flows
  await filter('proto udp')
  await page.waitForFunction((n) => document.querySelector('[data-testid=total-flows]')?.dataset.value !== n, before)
  await ready()
  seen.steps.filtered = await read()
  await page.reload()
  await ready()
  seen.steps.reloaded = await read()
  await filter('proto udp and prot tcp')
  const wrong = page.getByTestId('filter-error')
  await wrong.waitFor()
  seen.steps.wrong = { ...(await read()), message: await wrong.innerText(), column: await wrong.getAttribute('data-column') }
  await page.goto(`${url}/?${range}`)
  await ready()
  seen.steps.back = await read()

  // Explore: a link restores what it says; a value's menu narrows and splits.
  await page.goto(`${url}/explore?${range}&by=src_as&metric=pps&chart=lines&top=5&compare=24h&mirror=1&filter=proto+udp`)
  await settled(page)
  seen.steps.link = {
    dimensions: await page.locator('[data-dimension]').evaluateAll((all) => all.map((chip) => chip.dataset.dimension)),
    metric: await page.getByTestId('metric').inputValue(),
    chart: await page.getByTestId('chart').inputValue(),
    top: await page.getByTestId('top').inputValue(),
    compare: await page.getByTestId('compare').inputValue(),
    mirror: String(await page.getByTestId('mirror').isChecked()),
    filter: await draft(),
  }
  await page.goto(`${url}/explore?${range}&by=app`)
  await settled(page)
  const first = page.locator('tr[data-bytes]').first()
  const picked = await first.getAttribute('data-key')
  await first.locator('button').click()
  await page.getByTestId('only-this').click()
  await page.waitForFunction(() => location.search.includes('filter='))
  await settled(page)
  seen.steps.only = { key: picked, rows: await rows(), filter: await draft() }
  await page.goBack()
  await page.waitForFunction(() => !location.search.includes('filter='))
  await settled(page)
  seen.steps.backAgain = { filter: await draft(), rows: await rows() }

  // The editor completes words and values; terms are switched off and on.
  await page.locator('.cm-content').click()
  await page.keyboard.type('src as 6450')
  await page.locator('.cm-tooltip-autocomplete li', { hasText: '6450' }).first().waitFor() // not of what was typed before
  seen.steps.completed = { headings: await page.locator('.cm-tooltip-autocomplete li .cm-completionLabel').allInnerTexts() }
  await page.waitForTimeout(300) // the list takes no key that was meant for the text
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.keyboard.type(' and proto udp')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => location.search.includes('filter='))
  await settled(page)
  seen.steps.typed = { filter: await draft(), headings: await page.locator('[data-term]').allInnerTexts() }
  await page.locator('[data-term="proto udp"]').click()
  await page.waitForFunction(() => location.search.includes('off='))
  await settled(page)
  await page.reload()
  await page.locator('.cm-content').waitFor()
  await settled(page)
  seen.steps.off = { filter: await draft(), headings: await page.locator('[data-term-off]').allInnerTexts(), rows: await rows() }
  await page.goto(`${url}/explore?${range}&by=app`)
  await page.locator('.cm-content').waitFor()
  await settled(page)

  // A panel is kept on a dashboard of its own.
  await page.getByTestId('save-panel').click()
  await page.getByRole('dialog').getByRole('combobox').selectOption('')
  await page.getByRole('dialog').getByRole('textbox').nth(0).fill('<i>apps</i>')
  await page.getByRole('dialog').getByRole('textbox').nth(1).fill('Test <b>board</b>')
  await page.getByRole('dialog').getByRole('button').click()
  await page.getByRole('dialog').getByRole('link').click()
  await page.waitForURL('**/dashboards/**')
  await page.waitForSelector('tr[data-bytes], canvas')
  await settled(page)
  seen.steps.board = { address: page.url(), headings: await page.locator('main h2').allInnerTexts(), html: await page.locator('main b, main i').count() }

  // Ctrl-K.
  await page.keyboard.press('Control+k')
  await page.getByTestId('jump-input').fill('192.0.2.10')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/addresses/192.0.2.10**')
  await settled(page)
  seen.steps.jump = { address: page.url() }

  // Networks of one's own are written and read.
  await page.goto(`${url}/settings/networks`)
  await settled(page)
  await page.getByTestId('add-network').click()
  const inputs = page.getByTestId('networks').locator('input')
  await inputs.nth(0).fill('Office <script>alert(1)</script>')
  await inputs.nth(2).fill('Tokyo')
  await inputs.nth(3).fill('192.0.2.0/24')
  await page.getByTestId('save-networks').click()
  await page.getByRole('status').filter({ hasText: 'Saved' }).waitFor()

  // A role by hand is known to questions at once.
  await page.goto(`${url}/settings/roles`)
  await settled(page)
  await page.getByTestId('add-rule').click()
  await page.getByTestId('rules').locator('input').nth(2).fill('127.0.0.2')
  await page.getByTestId('save-roles').click()
  await page.getByRole('status').filter({ hasText: 'Saved' }).waitFor()
  seen.steps.rule = { headings: [await page.getByTestId('rules').locator('select').inputValue()] }

  // Every page, in both languages and themes: its tables, and what axe finds.
  const pages = {
    overview: `/?${range}`,
    explore: `/explore?${range}&by=src_as,app&chart=sankey`,
    treemap: `/explore?${range}&by=app,src_addr&chart=treemap`,
    heatmap: `/explore?${range}&by=app&chart=heatmap`,
    share: `/explore?${range}&by=app&chart=share&mirror=1`,
    bars: `/explore?${range}&by=app&chart=bars`,
    reports: '/reports',
    report: `/reports/application?${range}`,
    quiet: `/reports/protocol?${range}&hide=1&chart=lines&log=1`,
    size: `/reports/packet-size?${range}`,
    country: `/reports/country-source?${range}`,
    flows: `/flows?${range}`,
    network: `/network?${range}`,
    exporters: `/exporters?${range}`,
    interfaces: `/interfaces?${range}`,
    proof: `/proof?${range}`,
    timers: `/timers?exporter=${exporter}&range=15m&refresh=0`,
    counting: `/counting?${range}`,
    drops: `/drops?${range}`,
    budget: '/budget',
    address: `/addresses/192.0.2.10?${range}`,
    as: `/ases/64500?${range}`,
    exporter: `/exporters/${exporter}?${range}`,
    interface: `/interfaces/${exporter}/1?${range}`,
    ownNetwork: `/networks/1?${range}`,
    dashboards: '/dashboards',
    settings: '/settings/networks',
    roles: '/settings/roles',
    geo: '/settings/geo',
    storage: '/settings/storage',
    display: '/settings/display',
    nowhere: '/no/such/page',
  }
  for (const [language, theme] of [['en', 'paper'], ['ja', 'night']]) {
    await page.evaluate(([l, c]) => (localStorage.setItem('minamo.language', l), localStorage.setItem('minamo.theme', c)), [language, theme])
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(url + path)
      await settled(page)
      await page.waitForTimeout(200)
      await page.evaluate(axe)
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }))
      for (const v of violations) seen.faults.push(`${name} (${language}, ${theme}): ${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(' | ')}`)
      seen.pages[`${name} ${language}`] = {
        title: await page.title(),
        rows: await rows(),
        texts: (await page.locator('main').innerText()).length,
        wide: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1),
        errors: await page.getByTestId('error').count(),
        value: (await page.locator('[data-testid=flow-count]').count()) > 0 ? await figure('flow-count') : '',
      }
    }
  }
  // What tells whether flows are right: who exports and how, through which
  // interfaces, and what timers do to a chart.
  // The history of exporters is written by the minute: it has the flows once that is over.
  await page.waitForFunction(async () => (await (await fetch('/api/quality?from=-15m')).json()).exporters.some((one) => one.domains.some((d) => d.flows.some((n) => n > 0))), null, { timeout: 120_000, polling: 1000 })
  const told = (id, ...names) => page.locator(`[data-testid=${id}] tbody tr`).evaluateAll((all, names) => all.map((tr) => names.map((name) => tr.dataset[name]).join(' ')), names)
  await page.goto(`${url}/exporters?${range}`)
  await settled(page)
  seen.steps.exporters = { headings: await told('exporters', 'key', 'state') }
  await page.goto(`${url}/exporters/${exporter}?${range}`)
  await settled(page)
  seen.steps.exporter = { headings: await told('domains', 'key', 'missing', 'sent'), charts: await page.getByTestId('lines').count() }
  await page.goto(`${url}/interfaces?${range}&sort=name`)
  await settled(page)
  seen.steps.interfaces = { headings: await told('interfaces', 'key', 'in', 'out') }
  await page.goto(`${url}/timers?exporter=${exporter}&range=15m&refresh=0`)
  await settled(page)
  seen.steps.timers = { headings: [await page.getByTestId('difference').getAttribute('data-off')], charts: await page.getByTestId('lines').count() }
  await page.goto(`${url}/proof?${range}`)
  await settled(page)
  seen.steps.proof = { headings: [await page.getByTestId('proof-summary').getAttribute('data-compared')] }

  // A phone: nothing sticks out.
  await page.setViewportSize({ width: 390, height: 844 })
  for (const name of ['overview', 'explore', 'reports', 'network', 'exporters', 'exporter', 'interfaces', 'interface', 'proof', 'timers', 'counting', 'drops', 'budget', 'address', 'settings']) {
    await page.goto(url + pages[name])
    await settled(page)
    if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1)) seen.faults.push(`${name}: wider than a phone`)
  }
})
console.log(JSON.stringify(seen))
