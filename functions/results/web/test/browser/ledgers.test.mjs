// The log and the books, as an organiser and everybody else see them.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { accessible, castVote, desktop, openBrowser, organise, phone, results, token, visit } from './visit.mjs'

const root = fileURLToPath(new URL('../../../../../', import.meta.url))
const contest = 'default'
let browser

before(async () => { browser = await openBrowser() })
after(() => browser?.close())

let number = 0
const vote = (name, more = {}) => ({ name, album: 'Conquista', year: 1982, rank: 1, id: `ledgers-${process.pid}-${++number}`, ...more })

/** Waits until a vote is in the log. */
async function logged(receipt) {
  for (const until = Date.now() + 20_000; Date.now() < until;) {
    const answer = await fetch(`${results}/v1/receipts/${receipt}`)
    if (answer.ok && (await answer.json()).state !== 'pending') return
    await new Promise(resolve => setTimeout(resolve, 100)) // the log tells nobody
  }
  throw new Error(`${receipt} does not come into the log`)
}

async function fits(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`)
}

const line = (page, name) => page.getByRole('row').filter({ has: page.getByRole('cell', { name, exact: true }) })

test('a vote is found in the log, and the filters are in the address', async () => {
  const name = `Banda ${process.pid} Única`
  await logged(await castVote(contest, vote(name)))
  await logged(await castVote(contest, vote('Otra banda')))
  const { page, check, close } = await visit(browser)
  await page.goto(`${results}/bitacora`)
  await line(page, name).waitFor()
  await page.getByRole('searchbox', { name: 'Banda' }).fill(name.toUpperCase())
  await page.waitForURL(url => url.searchParams.get('band') === name.toUpperCase())
  await page.getByRole('combobox', { name: 'Estado' }).selectOption('counted')
  await page.waitForURL(url => url.searchParams.get('state') === 'counted')
  await line(page, 'Otra banda').waitFor({ state: 'detached' })
  await line(page, name).waitFor()
  await page.reload()
  await line(page, name).waitFor()
  assert.equal(await page.getByRole('searchbox', { name: 'Banda' }).inputValue(), name.toUpperCase())
  assert.equal(await page.getByRole('combobox', { name: 'Estado' }).inputValue(), 'counted')
  assert.equal(await line(page, 'Otra banda').count(), 0)
  await page.getByRole('combobox', { name: 'Estado' }).selectOption('refused')
  await page.getByText('Ningún voto es así').waitFor()
  await page.getByRole('link', { name: 'Quitar filtros' }).click()
  await line(page, name).waitFor()
  check()
  await close()
})

test('the live tail shows a new vote, and leads nobody to its receipt', async () => {
  const { page, check, close } = await visit(browser)
  const said = []
  page.on('response', async (response) => { if (/\/logs\?/.test(response.url())) said.push(await response.text()) })
  await page.goto(`${results}/bitacora?contest=${contest}`)
  await page.getByRole('table').waitFor({ state: 'attached' })
  await page.getByRole('button', { name: 'En vivo' }).click()
  await page.waitForURL(url => url.searchParams.get('live') === '1')
  await page.locator('.live .on').waitFor()
  const name = `En vivo ${process.pid}`
  const receipt = await castVote(contest, vote(name))
  await line(page, name).waitFor()
  assert.equal(await page.getByRole('table').getByRole('link').count(), 0)
  await page.reload()
  await line(page, name).waitFor()
  assert.ok(said.length > 0 && said.every(text => !text.includes(receipt)), 'a row says which receipt it is of')
  await page.goto(`${results}/bitacora/${receipt}`)
  await page.locator('[data-state=counted]').waitFor()
  assert.equal(await page.locator('[data-stage]').count(), 0)
  check()
  await close()
})

test('for the organiser a vote leads to its way', async () => {
  const name = `Camino ${process.pid}`
  const mine = vote(name)
  const receipt = await castVote(contest, mine)
  await logged(receipt)
  const { page, check, close } = await visit(browser)
  await organise(page)
  await page.goto(`${results}/bitacora?contest=${contest}`)
  await page.getByRole('link', { name, exact: true }).click()
  await page.waitForURL(`**/bitacora/${receipt}`)
  await page.locator('[data-stage="end"]').getByText('Contado y anotado').waitFor()
  for (const stage of ['door', 'box', 'screen']) await page.locator(`[data-stage="${stage}"]`).waitFor()
  assert.match(await page.locator('[data-stage="screen"]').innerText(), /votes\.accepted[\s\S]*partición \d+, posición \d+/)
  assert.match(await page.locator('[data-stage="end"] time').getAttribute('datetime'), /^\d{4}-/)
  await page.getByText(mine.id).waitFor()
  check()
  await close()
})

test('a vote is looked for by its receipt and by its id', async () => {
  const mine = vote('Buscada')
  const receipt = await castVote(contest, mine)
  await logged(receipt)
  const { page, check, close } = await visit(browser, { allowed: ['status of 404'] })
  await page.goto(`${results}/bitacora`)
  const field = page.getByRole('searchbox', { name: 'Buscar por comprobante o id' })
  await field.fill(mine.id)
  await field.press('Enter')
  await page.getByText(`${mine.id} en ${contest}: Contado`).waitFor()
  await field.fill('nadie')
  await field.press('Enter')
  await page.getByText('No se conoce.').waitFor()
  await field.fill(receipt)
  await field.press('Enter')
  await page.waitForURL(`**/recibo/${receipt}`)
  check()
  await close()
})

test('a long log is gone through to its end, with few lines in the document', async () => {
  const name = `Larga ${process.pid}`
  const rows = Array.from({ length: 450 }, (_, i) => `${name},Disco ${i},1999,1`).join('\n')
  const answer = await fetch(`${process.env.MARIMBA_TEST_DOOR}/v1/contests/${contest}/votes`, {
    method: 'POST', headers: { 'Content-Type': 'text/csv' }, body: `name,album,year,rank\n${rows}\n`,
  })
  const told = await answer.json()
  assert.equal(answer.status, 202, JSON.stringify(told))
  const { page, check, close } = await visit(browser)
  const url = `${results}/bitacora?band=${name.toLowerCase()}`
  await page.goto(url)
  const view = page.getByRole('region', { name: 'Votos' })
  await view.waitFor()
  // The votes come into the log while the page is there: it is opened anew until all are.
  for (const until = Date.now() + 30_000; ;) {
    await view.evaluate(async (element) => {
      for (let before = -1; element.scrollTop !== before;) {
        before = element.scrollTop
        element.scrollTop = element.scrollHeight
        await new Promise(resolve => setTimeout(resolve, 250)) // a page of the log comes, or none does
      }
    })
    if (await page.getByText('450 votos', { exact: true }).count()) break
    assert.ok(Date.now() < until, 'the whole log does not come')
    await page.goto(url)
    await view.waitFor()
  }
  await page.getByRole('cell', { name, exact: true }).last().waitFor()
  assert.ok(await page.getByRole('row').count() < 80, 'the lines out of sight are in the document')
  check()
  await close()
})

test('the books balance', async () => {
  const { page, check, close } = await visit(browser)
  await page.goto(`${results}/libros?contest=${contest}`)
  await page.getByText('Los libros cuadran').waitFor({ timeout: 30_000 }) // a source notes every few seconds how far it is
  const sum = (await page.locator('[data-test="sum"] b').allInnerTexts()).map(text => Number(text.replace(/\D/g, '')))
  assert.ok(sum[0] > 0)
  assert.equal(sum[0], sum.slice(1).reduce((a, b) => a + b, 0))
  const { final, states } = await (await fetch(`${results}/v1/contests/${contest}/balance`)).json()
  assert.equal(sum[0], final)
  assert.equal(sum[1], states.counted)
  assert.equal(sum[2], states.annulled)
  await page.getByText('No queda nada por leer en Kafka.').waitFor()
  check()
  await close()
})

test('a dead letter appears with its cause, and the organiser sends it again', async () => {
  const buried = spawnSync('go', ['run', './functions/results/web/test/browser/bury', process.env.MARIMBA_TEST_KAFKA, contest], { cwd: root, encoding: 'utf8' })
  assert.equal(buried.status, 0, buried.stderr)
  const receipt = buried.stdout.trim()
  await logged(receipt)
  const { page, check, close } = await visit(browser, { allowed: ['status of 401'] })
  await page.goto(`${results}/libros?contest=${contest}`)
  const shelf = page.getByRole('region', { name: 'Votos detenidos' })
  await shelf.waitFor()
  assert.equal(await shelf.getByRole('listitem').count(), 0, 'dead letters are shown without the token')
  await shelf.getByLabel('Clave del organizador').fill('no es esta')
  await shelf.getByRole('button', { name: 'Entrar' }).click()
  await shelf.getByText('Esa no es la clave.').waitFor()
  assert.equal(await page.evaluate(() => sessionStorage.getItem('marimba.token')), null)
  await shelf.getByLabel('Clave del organizador').fill(token)
  await shelf.getByRole('button', { name: 'Entrar' }).click()
  const letter = shelf.getByRole('listitem').filter({ hasText: 'una función respondió con error' }).first()
  await letter.waitFor()
  assert.equal(await page.evaluate(() => localStorage.getItem('marimba.token')), null)
  await accessible(page, 'the shelf')
  await letter.getByRole('button', { name: /Enviar de nuevo/ }).click()
  await shelf.getByText('Enviados de nuevo: 1. Votos en ellos: 1.').waitFor()
  await shelf.getByText('No hay nada detenido.').waitFor()
  await page.goto(`${results}/bitacora/${receipt}`)
  await page.locator('[data-stage="end"]').getByText('Contado y anotado').waitFor()
  check()
  await close()
})

test('a statement is held to its digest', async () => {
  const text = readFileSync(join(root, 'functions/internal/books/testdata/statement.json'), 'utf8').trim()
  const sha256 = createHash('sha256').update(text).digest('hex')
  for (const [shown, verdict] of [[text, 'Coincide: el acta es la que se declaró.'], [text.replace('"cast":', '"cast":1'), 'No coincide']]) {
    const { page, check, close } = await visit(browser)
    await page.route('**/v1/contests', async (route) => {
      const answer = await route.fetch()
      const list = await answer.json()
      list.contests.find(each => each.id === contest).phase = 'final'
      await route.fulfill({ response: answer, json: list })
    })
    await page.route('**/statement', route => route.fulfill({ contentType: 'application/json', body: `{"sha256":"${sha256}","statement":${shown}}\n` }))
    await page.goto(`${results}/libros?contest=${contest}`)
    const statement = page.getByRole('region', { name: 'Acta final', exact: true })
    await statement.getByText(sha256).waitFor()
    await statement.getByRole('button', { name: 'Comprobar aquí' }).click()
    await statement.getByText(verdict).waitFor()
    await accessible(page, 'the statement')
    check()
    await close()
  }
})

test('an export takes all for the organiser, and a page for everybody', async () => {
  const { page, check, close } = await visit(browser)
  await page.goto(`${results}/bitacora?contest=${contest}`)
  await page.getByText('Exportar', { exact: true }).click()
  const [open] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'CSV', exact: true }).click()])
  const read = async (download) => {
    const parts = []
    for await (const part of await download.createReadStream()) parts.push(part)
    return Buffer.concat(parts).toString('utf8')
  }
  const everybodys = await read(open)
  assert.match(everybodys, /^contest,.*,field\r?\n/)
  await page.getByLabel('Clave del organizador').fill(token)
  await page.getByRole('button', { name: 'Entrar' }).click()
  const [whole] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV', exact: true }).click()])
  assert.match(await read(whole), /^receipt,contest,.*,id,voter_key\r?\n/)
  check()
  await close()
})

for (const colorScheme of ['light', 'dark']) {
  for (const [name, viewport] of Object.entries({ phone, desktop })) {
    test(`the log, a vote and the books are accessible: ${colorScheme}, ${name}`, async () => {
      const receipt = await castVote(contest, vote('Accesible'))
      await logged(receipt)
      const { page, check, close } = await visit(browser, { viewport, colorScheme, locale: name === 'phone' ? 'es-GT' : 'en-US' })
      if (name === 'desktop') await organise(page)
      await page.goto(`${results}/bitacora`)
      await line(page, 'Accesible').first().waitFor()
      await accessible(page, 'the log')
      await fits(page)
      await page.goto(`${results}/bitacora/${receipt}`)
      await page.locator(name === 'desktop' ? '[data-stage="end"]' : '[data-state=counted]').waitFor()
      await accessible(page, 'a vote')
      await fits(page)
      await page.goto(`${results}/libros?contest=${contest}`)
      await page.locator('[data-test="sum"]').waitFor()
      await page.locator('progress').first().waitFor()
      await accessible(page, 'the books')
      await fits(page)
      check()
      await close()
    })
  }
}

test('the log is used with the keyboard alone', async () => {
  const { page, check, close } = await visit(browser)
  await organise(page)
  await page.goto(`${results}/bitacora`)
  await line(page, 'Accesible').first().waitFor()
  const view = page.getByRole('region', { name: 'Votos' })
  for (let presses = 0; !await view.evaluate(element => element === document.activeElement); presses++) {
    assert.ok(presses < 60, 'the table is not reached')
    await page.keyboard.press('Tab')
  }
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.waitForURL(/\/bitacora\/.+\.\d+$/)
  check()
  await close()
})

test('annulments are shown with who decided them, and the boards before and after', async () => {
  const board = (...bands) => ({
    contest, as_of: '2026-11-24T12:00:00Z', standing: 'votes', tie_break: [], mean_from: 1, totals: { votes: 3, bands: 2, albums: 2 },
    bands: bands.map(([name, votes], i) => ({ place: i + 1, name, votes, sum: votes, mean: 1, points: null, share: 0.5, albums_total: 1, albums: [] })),
  })
  const json = {
    contest, votes: 2, channels: { http: 2 }, replaced: 0,
    cases: [
      {
        number: 1, state: 'in_force', votes: 2, filter: { channel: 'http', band: 'Trébol', from: '2026-11-24T11:00:00Z' },
        proposed: { by: 'Ana', at: '2026-11-24T12:00:00Z', reason: 'Votos de un programa' },
        approved: [{ by: 'Eva', at: '2026-11-24T12:01:00Z' }, { by: 'Luis', at: '2026-11-24T12:02:00Z' }],
      },
      {
        number: 4, state: 'revoked', votes: 1, filter: { channel: 'grpc' }, proposed: { by: 'Rosa', at: '2026-11-24T12:00:00Z', reason: 'Prueba' },
        approved: [], revocation: { by: 'Ana', at: '2026-11-24T13:00:00Z', reason: 'Fue un error' }, revocation_approved: [{ by: 'Eva', at: '2026-11-24T13:00:00Z' }],
      },
    ],
    rulings: [{
      number: 3, at: '2026-11-24T12:02:00Z', kind: 'approve', case: 1, in_force: [1], votes: 2,
      board_before: board(['Trébol', 3], ['Alux Nahual', 2], ['Nadie', 1]), board_after: board(['Alux Nahual', 2], ['Trébol', 1]),
    }],
  }
  for (const colorScheme of ['light', 'dark']) {
    const { page, check, close } = await visit(browser, { viewport: phone, colorScheme })
    await page.route('**/annulments', route => route.fulfill({ json }))
    await page.goto(`${results}/libros?contest=${contest}`)
    const sheet = page.getByRole('region', { name: 'Anulaciones' })
    await sheet.getByText('2 votos están anulados.').waitFor()
    const first = sheet.locator('[data-case="1"]')
    assert.match(await first.innerText(), /en vigor[\s\S]*Web, de Trébol, desde [\s\S]*Votos de un programa[\s\S]*Ana[\s\S]*Eva, Luis/)
    assert.match(await sheet.locator('[data-case="4"]').innerText(), /revocado[\s\S]*Ana, Eva: Fue un error/)
    await sheet.getByText(/2 votos anulados desde entonces/).click()
    const row = sheet.getByRole('row').filter({ hasText: 'Alux Nahual' })
    assert.deepEqual(await row.getByRole('cell').allInnerTexts(), ['2', '2', '1', '2'])
    const gone = sheet.getByRole('row').filter({ hasText: 'Nadie' })
    assert.deepEqual(await gone.getByRole('cell').allInnerTexts(), ['3', '1', '–', '–'])
    await page.getByRole('link', { name: 'Registro firmado' }).waitFor()
    await accessible(page, 'annulments')
    await fits(page)
    check()
    await close()
  }
})
