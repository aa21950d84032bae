// Receipts are proven in the browser, and what is forged is told: the answers are changed on their way to the page.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, castFor, openBrowser, results, visit } from './visit.mjs'

let browser
before(async () => { browser = await openBrowser() })
after(() => browser?.close())

const contest = 'default'
let number = 0
const vote = name => ({ name, album: 'Conquista', year: 1982, rank: 1.25, id: `proof-${process.pid}-${++number}` })

/** Casts a vote, and waits until it is in the public log. */
async function sealed(name) {
  const told = await castFor(contest, vote(name))
  for (const until = Date.now() + 30_000; Date.now() < until;) {
    const answer = await fetch(`${results}/v1/receipts/${told.receipt}`, { headers: { 'Receipt-Secret': told.secret } })
    if (answer.ok && (await answer.json()).proof) return told
    await new Promise(resolve => setTimeout(resolve, 150)) // the log tells nobody
  }
  throw new Error(`${told.receipt} does not come into the public log`)
}

const verdict = (page, of) => page.locator(`[data-verdict=${of}]`).waitFor()

test('the receipt of a vote of a program is proven, and only with its secret', async () => {
  const { receipt, secret, commitment } = await sealed('Con decimales')
  const { page, check, close } = await visit(browser, { allowed: ['status of 403'] })
  await page.goto(`${results}/recibo/${receipt}#${secret}`)
  await verdict(page, 'proven')
  await page.getByText(commitment).waitFor()
  await page.getByText('Es la primera vez que este navegador ve este registro').waitFor()
  await page.goto(`${results}/recibo/${receipt}`)
  await page.getByText('solo se muestra a quien tiene el secreto').waitFor()
  assert.equal(await page.getByText('Con decimales').count(), 0)
  const wrong = (secret[0] === 'A' ? 'B' : 'A') + secret.slice(1)
  await page.goto(`${results}/recibo/${receipt}?otra=1#${wrong}`)
  await page.getByRole('alert').filter({ hasText: 'no es el de este comprobante' }).waitFor()
  assert.equal(await page.getByText('Con decimales').count(), 0)
  // What is pasted into the field is the whole address.
  await page.getByLabel('Comprobante').fill(`${results}/recibo/${receipt}#${secret}`)
  await page.getByRole('button', { name: 'Buscar' }).click()
  await verdict(page, 'proven')
  check()
  await close()
})

const forgeries = {
  other: (answer) => { answer.name = 'Otra banda' },
  absent: (answer) => { answer.proof.hashes = [...answer.proof.hashes.slice(1), 'ab'.repeat(32)] },
  forged: (answer) => { // the same log, signed by somebody else
    const end = answer.proof.checkpoint.length - 10
    const other = answer.proof.checkpoint[end] === 'A' ? 'B' : 'A'
    answer.proof.checkpoint = answer.proof.checkpoint.slice(0, end) + other + answer.proof.checkpoint.slice(end + 1)
  },
}
for (const [of, forge] of Object.entries(forgeries)) {
  test(`a forged answer is told: ${of}`, async () => {
    const { receipt, secret } = await sealed(`Falsa ${of}`)
    await sealed('Una más') // so that there is a path to change
    const { page, check, close } = await visit(browser)
    await page.route('**/v1/receipts/**', async (route) => {
      const response = await route.fetch()
      const json = await response.json()
      forge(json)
      await route.fulfill({ response, json })
    })
    await page.goto(`${results}/recibo/${receipt}#${secret}`)
    await verdict(page, of)
    await page.getByText('Avise al organizador').waitFor()
    await accessible(page, `a forged receipt: ${of}`)
    assert.equal(await page.evaluate(() => localStorage.getItem('marimba.log.default')), null)
    check()
    await close()
  })
}

test('a log that does not continue the one seen before is told, and one that does is said to', async () => {
  const { receipt, secret } = await sealed('Primera')
  const { page, check, close } = await visit(browser)
  await page.goto(`${results}/recibo/${receipt}#${secret}`)
  await verdict(page, 'proven')
  await sealed('Segunda')
  await page.reload()
  await page.getByText('nada de él se cambió').waitFor()
  await verdict(page, 'proven')
  await sealed('Tercera')
  await page.evaluate(() => {
    const seen = JSON.parse(localStorage.getItem('marimba.log.default'))
    localStorage.setItem('marimba.log.default', JSON.stringify({ ...seen, root: 'ab'.repeat(32) }))
  })
  await page.reload()
  await verdict(page, 'forked')
  await accessible(page, 'a fork')
  check()
  await close()
})

test('a browser without Ed25519 says that only the proof was checked', async () => {
  const { receipt, secret } = await sealed('Sin firma')
  const { page, check, close } = await visit(browser)
  await page.addInitScript(() => {
    const importKey = SubtleCrypto.prototype.importKey
    SubtleCrypto.prototype.importKey = function (format, key, algorithm, ...rest) {
      if (algorithm?.name === 'Ed25519') return Promise.reject(new DOMException('none', 'NotSupportedError'))
      return importKey.call(this, format, key, algorithm, ...rest)
    }
  })
  await page.goto(`${results}/recibo/${receipt}#${secret}`)
  await verdict(page, 'unsigned')
  await page.getByText('la firma no se comprobó').waitFor()
  check()
  await close()
})
