// Takes a picture of each page, on a phone and on a desk, light and dark, into ../../screenshots:
//
//   node test/browser/screenshots.mjs [FOLDER]
//
// The house is one of its own, with the demo's votes.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startHouse } from './house.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const into = process.argv[2] ?? join(here, '../../screenshots')
const most = 100_000 // bytes of a picture
const votes = fileURLToPath(new URL('../../../../../config/contests/votes/rock-gt/', import.meta.url))
const types = { json: 'application/json', csv: 'text/csv' }

const own = process.env.MARIMBA_TEST_RESULTS ? null : await startHouse(join(here, 'contests'))
if (own) Object.assign(process.env, { MARIMBA_TEST_RESULTS: own.results, MARIMBA_TEST_DOOR: own.http, MARIMBA_TEST_TOKEN: own.token })
const { castFor, desktop, door, openBrowser, phone, results, token, visit } = await import('./visit.mjs')

for (const name of readdirSync(votes)) {
  const answer = await fetch(`${door}/v1/contests/rock-gt/votes`, {
    method: 'POST', headers: { 'Content-Type': types[name.split('.').pop()] }, body: readFileSync(join(votes, name)),
  })
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`)
}
const { receipt, secret } = await castFor('rock-gt', { name: 'Bohemia Suburbana', album: 'Sombras en el Jardín', year: 1993, rank: 1 })

const pages = {
  inicio: ['/', page => page.getByRole('heading', { level: 3 }).first().waitFor()],
  vota: ['/vota/rock-gt', async (page) => {
    await page.getByRole('radio', { name: 'Bohemia Suburbana' }).check()
    await page.getByRole('radio', { name: /Sombras/ }).check()
    await page.getByRole('radio', { name: '1', exact: true }).check()
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0) })
  }],
  tablero: ['/tablero/rock-gt', page => page.locator('.leads').first().waitFor()],
  recibo: [`/recibo/${receipt}#${secret}`, page => page.locator('[data-verdict=proven]').waitFor({ timeout: 60_000 })],
  bitacora: ['/bitacora?contest=rock-gt', page => page.getByText('Gaby Moreno').first().waitFor()],
  libros: ['/libros?contest=rock-gt', page => page.getByRole('heading', { level: 2 }).nth(1).waitFor()],
}

mkdirSync(into, { recursive: true })
const browser = await openBrowser()
for (const [device, viewport] of Object.entries({ phone, desktop })) {
  for (const colorScheme of ['light', 'dark']) {
    const { page, close } = await visit(browser, { viewport, colorScheme, reducedMotion: 'reduce' })
    const chrome = await page.context().newCDPSession(page)
    for (const [name, [path, ready]] of Object.entries(pages)) {
      await page.goto(results + path)
      await ready(page)
      await page.waitForTimeout(300)
      const { data } = await chrome.send('Page.captureScreenshot', { format: 'webp', quality: 72 })
      const file = join(into, `${name}-${device}-${colorScheme}.webp`)
      writeFileSync(file, Buffer.from(data, 'base64'))
      const { size } = statSync(file)
      console.log(`${file}: ${size} bytes`)
      if (size > most) throw new Error(`${file} is larger than ${most} bytes`)
      if (process.env.PNG) await page.screenshot({ path: file.replace('.webp', '.png'), fullPage: Boolean(process.env.FULL) })
    }
    await close()
  }
}
await browser.close()
await own?.stop()
