// A headless Chromium that notes what it should not see: errors, and requests
// to other hosts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

/** withPage runs f with a page of a fresh browser. */
export async function withPage(url, seen, options, f) {
  const profile = mkdtempSync(join(tmpdir(), 'minamo-browser-'))
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    viewport: { width: 1440, height: 1000 },
    colorScheme: 'light',
    locale: 'en-GB',
    timezoneId: 'UTC',
    ...options,
  })
  try {
    const page = browser.pages()[0] ?? (await browser.newPage())
    page.setDefaultTimeout(30_000)
    page.on('console', (m) => m.type() === 'error' && seen.errors.push(`${page.url()}: ${m.text()} ${m.location().url}`))
    page.on('pageerror', (e) => seen.errors.push(`${page.url()}: ${e}`))
    page.on('request', (r) => {
      if (!r.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(r.url())) seen.elsewhere.push(r.url())
    })
    await f(page)
  } finally {
    await browser.close()
    rmSync(profile, { recursive: true, force: true })
  }
}

/**
 * settled resolves when every question of the page is answered and shown: none
 * for a while, since some are asked because of others. The page keeps a
 * connection open, so it is never without requests.
 */
export async function settled(page) {
  await page.waitForSelector('main')
  for (let calm = 0; calm < 4; calm++) {
    await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'))
    await page.waitForTimeout(100)
    if (await page.locator('[aria-busy=true]').count()) calm = -1
  }
}
