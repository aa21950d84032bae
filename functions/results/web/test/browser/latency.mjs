// Measures how long a vote takes from its cast to the screen of the live board, under load:
//
//   node test/browser/latency.mjs [VOTES-A-SECOND] [SECONDS]
//
// Votes go to the open contest in ten bundles a second. A bundle is on the screen when the board's total has reached all
// that were cast up to it.
import { fileURLToPath } from 'node:url'
import { startHouse } from './house.mjs'

const [rate = 1000, length = 20] = process.argv.slice(2).map(Number)
const own = process.env.MARIMBA_TEST_RESULTS ? null : await startHouse(fileURLToPath(new URL('contests', import.meta.url)))
if (own) Object.assign(process.env, { MARIMBA_TEST_RESULTS: own.results, MARIMBA_TEST_DOOR: own.http })
const { castVote, door, openBrowser, results, visit } = await import('./visit.mjs')

const contest = 'default'
const vote = { name: 'La Tona', album: 'El Ojo', year: 2000, rank: 1 }
await castVote(contest, vote) // the house is awake

const browser = await openBrowser()
const { page } = await visit(browser)
const waiting = [] // { votes: on the board then, at: when they were cast }
const took = []
await page.exposeFunction('onBoard', (votes, at) => {
  while (waiting.length && waiting[0].votes <= votes) took.push(at - waiting.shift().at)
})
await page.goto(`${results}/tablero/${contest}`)
const total = page.locator('[data-test=total] strong')
await total.waitFor()
const shown = await total.evaluate((node) => {
  const read = () => Number(node.textContent.replace(/\D/g, ''))
  new MutationObserver(() => globalThis.onBoard(read(), Date.now())).observe(node, { characterData: true, childList: true, subtree: true })
  return read()
})

async function cast(votes) {
  const answer = await fetch(`${door}/v1/contests/${contest}/votes`, {
    method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' }, body: votes.map(vote => JSON.stringify(vote)).join('\n'),
  })
  if (!answer.ok) throw new Error(`the door answered ${answer.status}`)
}

const bundle = Math.round(rate / 10)
const began = Date.now()
const casts = []
for (let i = 1; i <= length * 10; i++) {
  const at = Date.now()
  waiting.push({ votes: shown + i * bundle, at })
  casts.push(cast(Array.from({ length: bundle }, (_, n) => ({ ...vote, id: `${began}-${i}-${n}` }))))
  await new Promise(resolve => setTimeout(resolve, Math.max(0, began + i * 100 - Date.now())))
}
await Promise.all(casts)
const until = Date.now() + 60_000
while (waiting.length && Date.now() < until) await page.waitForTimeout(100)

took.sort((a, b) => a - b)
const at = share => took[Math.min(took.length - 1, Math.floor(share * took.length))]
console.log(JSON.stringify({ rate, seconds: length, bundles: took.length, missing: waiting.length, ms: { p50: at(0.5), p99: at(0.99), most: took.at(-1) } }))
await browser.close()
await own?.stop()
process.exit(waiting.length ? 1 : 0)
