// What a reader sees of a question that takes long, and that it ends when he
// says so, or goes away: `node stop.mjs URL`, beside a server that is busy.
import { settled, withPage } from './browser.mjs'

const [url] = process.argv.slice(2)
const seen = { errors: [], elsewhere: [], steps: {} }

await withPage(url, seen, {}, async (page) => {
  const waiting = async () => {
    const { questions } = await page.evaluate(() => fetch('/api/questions').then((r) => r.json()))
    return questions.filter((one) => one.kind === 'report').length
  }
  await page.goto(`${url}/explore?range=1h&refresh=0&by=app`)
  const progress = page.getByTestId('running')
  await progress.waitFor()
  seen.steps.waiting = { text: await progress.innerText(), asked: await waiting() }
  await page.getByTestId('stop').click()
  await page.getByTestId('error').waitFor()
  await settled(page)
  seen.steps.stopped = { text: await page.getByTestId('error').innerText(), asked: await waiting() }

  await page.goto(`${url}/explore?range=1h&refresh=0&by=protocol`)
  await progress.waitFor()
  seen.steps.again = { asked: await waiting() }
  await page.getByRole('link', { name: 'Settings' }).click()
  await page.waitForURL('**/settings**')
  for (let tries = 0; (await waiting()) > 0 && tries < 100; tries++) await page.waitForTimeout(50)
  seen.steps.left = { asked: await waiting() }
})
console.log(JSON.stringify(seen))
