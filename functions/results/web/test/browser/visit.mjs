// A visitor with a browser. What a page must never do fails the visit: ask somebody else, break its policy, or complain.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'
import { findChromium } from './house.mjs'

export const results = process.env.MARIMBA_TEST_RESULTS
export const door = process.env.MARIMBA_TEST_DOOR
export const token = process.env.MARIMBA_TEST_TOKEN

export const phone = { width: 390, height: 844 }
export const desktop = { width: 1280, height: 800 }

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const openBrowser = () => chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox', '--disable-gpu'] })

/** Opens a page. check() tells what it did wrong, but for what was allowed: parts of console messages. */
export async function visit(browser, { allowed = [], ...options } = {}) {
  const context = await browser.newContext({ locale: 'es-GT', viewport: desktop, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  const wrongs = []
  const ours = new Set([new URL(results).origin, new URL(door).origin])
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (!['data:', 'blob:'].includes(url.protocol) && !ours.has(url.origin)) wrongs.push(`asks ${url.href}`)
  })
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !allowed.some(part => message.text().includes(part))) {
      wrongs.push(`${message.type()}: ${message.text()}`)
    }
  })
  page.on('pageerror', error => wrongs.push(`error: ${error.stack ?? error}`))
  await page.addInitScript(() => {
    globalThis.addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.blockedURI} ${e.sample}`))
  })
  return { page, check: () => assert.deepEqual(wrongs, []), close: () => context.close() }
}

/** Fails if axe-core finds a violation of WCAG 2.2 A or AA, or of its best practices. */
export async function accessible(page, of) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }))
  const told = violations.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => `${n.target} ${n.failureSummary}`).join('; ')}`)
  assert.deepEqual(told, [], of)
}

/** Casts a vote as a program does; its receipt. */
export const castVote = async (contest, vote) => (await castFor(contest, vote)).receipt

/** Casts a vote as a program does; all that the door answers. */
export async function castFor(contest, vote) {
  const answer = await fetch(`${door}/v1/contests/${contest}/votes`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(vote),
  })
  const told = await answer.json()
  assert.equal(answer.status, 202, JSON.stringify(told))
  return told
}

/** Goes to a page as the organiser, whose token it is given in the way of the page. */
export const organise = page => page.addInitScript((given) => {
  sessionStorage.setItem('marimba.token', given)
}, token)
