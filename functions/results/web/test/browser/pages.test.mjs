// The pages in a real browser, against a real house: what people do with them, and what they must never do.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { accessible, castFor, castVote, desktop, door, openBrowser, phone, results, visit } from './visit.mjs'

let browser
before(async () => { browser = await openBrowser() })
after(() => browser?.close())

const state = page => page.locator('[data-test=state]')
const total = page => page.locator('[data-test=total]')

/** Fills in the demo's ballot. */
async function fillIn(page, band, record, rank) {
  await page.getByRole('radio', { name: band, exact: true }).check()
  await page.getByRole('radio', { name: record }).check()
  await page.getByRole('radio', { name: rank, exact: true }).check()
}

test('a vote is cast on a phone, moves the board, and its receipt says that it counted', async (t) => {
  await castVote('rock-gt', { name: 'La Tona', album: 'El Ojo', year: 2000, rank: 2 }) // the house is awake
  const board = await visit(browser)
  await board.page.goto(`${results}/tablero/rock-gt`)
  await board.page.locator('[data-band="La Tona"]:not([data-votes="0"])').waitFor()
  const before = Number(await board.page.locator('[data-band="Alux Nahual"]').getAttribute('data-votes'))

  const ballot = await visit(browser, { viewport: phone, hasTouch: true, isMobile: true })
  await ballot.page.goto(`${results}/vota/rock-gt`)
  await fillIn(ballot.page, 'Alux Nahual', /Conquista/, '1')
  assert.equal(await ballot.page.getByLabel('Año del disco').inputValue(), '1982')
  const [, took] = await Promise.all([
    ballot.page.locator('[data-test=send]').click(),
    moved(board.page, 'Alux Nahual', before + 1),
  ])
  t.diagnostic(`from the tap to the board on the screen: ${took} ms`)

  const receipt = await ballot.page.locator('[data-test=receipt]').innerText()
  const asked = []
  ballot.page.on('request', request => asked.push(request.url()))
  await ballot.page.getByRole('img', { name: /Código QR/ }).waitFor()
  await ballot.page.locator('[data-state=counted]').waitFor()
  await ballot.page.getByRole('link', { name: 'Abrir el comprobante' }).click()
  await ballot.page.waitForURL(url => url.pathname === `/recibo/${receipt}` && /^#[\w-]{22}$/.test(url.hash))
  await ballot.page.locator('[data-state=counted]').waitFor()
  await ballot.page.getByText('Conquista').waitFor()
  // The browser proves it by itself, and the secret was in no address that it asked for.
  await ballot.page.locator('[data-verdict=proven]').waitFor()
  const secret = new URL(ballot.page.url()).hash.slice(1)
  assert.ok(asked.length > 0 && asked.every(url => !url.includes(secret)), 'the secret was sent in an address')
  assert.equal(await ballot.page.evaluate(() => JSON.parse(localStorage.getItem('marimba.log.rock-gt')).root.length), 64)
  await accessible(ballot.page, 'a proven receipt')

  // The ballot remembers it, and a vote of the same band may follow.
  await ballot.page.goto(`${results}/vota/rock-gt`)
  await ballot.page.getByRole('link', { name: /Alux Nahual/ }).waitFor()
  board.check()
  ballot.check()
  await board.close()
  await ballot.close()
})

/** Resolves with the time that passed until a band has so many votes on the screen. */
const moved = async (page, band, votes) => {
  const began = Date.now()
  await page.locator(`[data-band="${band}"][data-votes="${votes}"]`).waitFor()
  return Date.now() - began
}

test('a vote that the rules do not admit is told on the page, and not sent', async () => {
  const { page, check, close } = await visit(browser, { viewport: phone })
  const sent = []
  page.on('request', request => request.method() === 'POST' && sent.push(request.url()))
  await page.goto(`${results}/vota/rock-gt`)
  await fillIn(page, 'Gaby Moreno', /Alegoría/, '3')
  await page.getByLabel('Año del disco').fill('1890')
  await page.locator('[data-test=send]').click()
  await page.getByRole('alert').filter({ hasText: 'El año debe estar entre 1970' }).waitFor()
  assert.deepEqual(sent, [])
  await accessible(page, 'a ballot with a fault')
  await page.getByLabel('Año del disco').fill('2022')
  await page.locator('[data-test=send]').click()
  await page.locator('[data-state=counted]').waitFor()
  assert.equal(sent.length, 1)
  check()
  await close()
})

test('a vote that does not arrive is sent again with the same key, also after the page was closed', async () => {
  const { page, check, close } = await visit(browser, { allowed: ['503', 'Failed to load resource'] })
  const keys = []
  let busy = true
  await page.route(`${door}/**`, async (route) => {
    if (route.request().method() !== 'POST') return route.continue()
    keys.push(route.request().headers()['idempotency-key'])
    if (!busy) return route.continue()
    await route.fulfill({
      status: 503, contentType: 'application/problem+json', body: JSON.stringify({ code: 'busy', detail: 'busy' }),
      headers: { 'Retry-After': '1', 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Retry-After' },
    })
  })
  await page.goto(`${results}/vota/rock-gt`)
  await fillIn(page, 'El Clubo', /Documento Gris/, '4')
  await page.locator('[data-test=send]').click()
  await page.getByText(/Se intenta de nuevo en/).waitFor()
  await page.reload()
  await page.getByText(/Se intenta de nuevo en/).waitFor()
  busy = false
  await page.locator('[data-state=counted]').waitFor()
  assert.ok(keys.length >= 3, `sent ${keys.length} times`)
  assert.equal(new Set(keys).size, 1)
  check()
  await close()
})

test('a vote waits for a connection', async () => {
  const { page, close } = await visit(browser)
  await page.goto(`${results}/vota/rock-gt`)
  await fillIn(page, 'Fábulas', /Llévame/, '5')
  await page.context().setOffline(true)
  await page.locator('[data-test=send]').click()
  await page.getByText(/Sin conexión. El voto se envía solo/).waitFor()
  await page.context().setOffline(false)
  await page.locator('[data-state=counted]').waitFor()
  await close()
})

test('voters are named where the contest asks for it, and the board stands by the mean', async () => {
  const { page, check, close } = await visit(browser, { viewport: phone })
  await page.goto(`${results}/vota/marks`)
  await page.getByRole('radio', { name: 'Easy Easy', exact: true }).check()
  await page.getByRole('radio', { name: /Ok Okk/ }).check()
  await page.getByLabel('Puntaje').fill('9.5')
  await page.locator('[data-test=send]').click()
  await page.getByRole('alert').filter({ hasText: 'quién vota' }).waitFor()
  await page.getByLabel('Quién vota').fill('Jurado 7')
  await page.locator('[data-test=send]').click()
  await page.locator('[data-state=counted]').waitFor()
  await page.goto(`${results}/tablero/marks`)
  await page.locator('[data-band="Easy Easy"]').filter({ hasText: '9.50' }).waitFor()
  check()
  await close()
})

test('without JavaScript the ballot is a form, and leads to the receipt', async () => {
  const { page, check, close } = await visit(browser, { javaScriptEnabled: false, viewport: phone })
  await page.goto(results)
  await page.getByRole('link', { name: 'Votar' }).last().click()
  await page.goto(`${results}/vota/rock-gt`)
  await page.getByLabel('Banda').selectOption('Bohemia Suburbana')
  await page.getByLabel('Disco', { exact: true }).selectOption('Sub')
  await page.getByLabel('Año del disco').fill('2001')
  await page.getByLabel('Lugar').fill('1')
  await page.getByRole('button', { name: 'Enviar mi voto' }).click()
  await page.getByRole('heading', { name: 'Voto recibido' }).waitFor()
  await page.getByRole('link', { name: 'Ver qué pasó con el voto' }).click()
  await page.waitForURL(`${results}/recibo/**`)
  while (await page.getByRole('heading', { name: 'En camino' }).count()) await page.reload()
  await page.getByRole('heading', { name: 'Contado' }).waitFor()
  await page.goto(`${results}/tablero/rock-gt?lang=en`)
  await page.getByRole('row', { name: /Bohemia Suburbana/ }).waitFor()
  assert.match(await page.locator('body').innerText(), /Voting is open\./)
  check()
  await close()
})

test('the language is the browser\'s until it is chosen, and then stays', async () => {
  const { page, check, close } = await visit(browser, { locale: 'en-US' })
  await page.goto(results)
  await page.getByRole('heading', { name: 'Make your vote heard' }).waitFor()
  await page.locator('[data-test=language]').click()
  await page.getByRole('heading', { name: 'Que suene su voto' }).waitFor()
  assert.equal(await page.locator('html').getAttribute('lang'), 'es')
  await page.reload()
  await page.getByRole('heading', { name: 'Que suene su voto' }).waitFor()
  assert.equal(await page.title(), 'Marimba · Que suene su voto')
  check()
  await close()
})

test('the keyboard is enough', async () => {
  const { page, check, close } = await visit(browser)
  await page.goto(results)
  await page.getByRole('heading', { name: 'Que suene su voto' }).waitFor()
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip')
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'content')

  await page.goto(`${results}/vota/rock-gt`)
  await page.getByRole('radio', { name: 'Alux Nahual' }).focus()
  await page.keyboard.press('ArrowDown') // to Bohemia Suburbana
  await page.keyboard.press('Tab')
  await page.keyboard.press('Space') // its first record
  await page.keyboard.press('Tab')
  await page.keyboard.press('Space') // first place
  for (let i = 0; i < 2; i++) await page.keyboard.press('Tab') // past the year
  await page.keyboard.press('Enter')
  await page.locator('[data-test=receipt]').waitFor()
  assert.equal(await page.evaluate(() => document.activeElement.textContent), '¡Voto recibido!')
  check()
  await close()
})

test('what is not there is said, in words', async () => {
  const { page, close } = await visit(browser)
  await page.goto(`${results}/recibo/nothing.0`)
  await page.locator('[data-state=unknown]').waitFor()
  await page.goto(`${results}/tablero/nowhere`)
  await page.getByRole('alert').filter({ hasText: 'No hay concurso «nowhere»' }).waitFor()
  await close()
})

test('what a contest withholds is not on its pages, and that it is withheld is', async () => {
  const { receipt, secret } = await castFor('hidden', { name: 'La Tona', album: 'El Ojo', year: 2000, rank: 1 })
  await castVote('frozen', { name: 'La Tona', album: 'El Ojo', year: 2000, rank: 1 })
  const { page, check, close } = await visit(browser)
  await page.goto(`${results}/recibo/${receipt}`)
  await page.locator('[data-state=counted]').waitFor()
  await page.getByText('solo se muestra a quien tiene el secreto').waitFor()
  assert.equal(await page.getByText('La Tona').count(), 0)
  await page.goto(`${results}/recibo/${receipt}#${secret}`) // whose vote it is, sees it
  await page.getByText('La Tona').waitFor()
  await page.locator('[data-verdict=proven]').waitFor()
  await page.goto(`${results}/tablero/hidden`)
  await page.locator('[data-test=hidden]').waitFor()
  assert.equal(await page.locator('[data-band]').count(), 0)
  await accessible(page, 'a hidden board')
  await page.goto(`${results}/tablero/frozen`)
  await page.locator('[data-test=frozen]').waitFor()
  assert.equal(await page.locator('[data-band="La Tona"]').getAttribute('data-votes'), '0')
  await accessible(page, 'a frozen board')
  check()
  await close()
})

test('nothing moves for those who asked for stillness', async () => {
  const { page, check, close } = await visit(browser, { reducedMotion: 'reduce' })
  await page.goto(`${results}/tablero/rock-gt`)
  await total(page).waitFor()
  assert.equal(await page.locator('.wood').first().evaluate(bar => getComputedStyle(bar).transitionDuration), '0s')
  check()
  await close()
})

test('no page has what axe-core finds, light or dark, on a phone or a desk', async (t) => {
  const { receipt, secret } = await castFor('rock-gt', { name: 'Gaby Moreno', album: 'Postales', year: 2012, rank: 1 })
  const pages = {
    '/': page => page.getByRole('link', { name: /Tablero/ }).first().waitFor(),
    '/vota/rock-gt': page => page.locator('[data-test=send]').waitFor(),
    '/vota/marks': page => page.locator('[data-test=send]').waitFor(),
    '/vota/default': page => page.locator('[data-test=send]').waitFor(),
    '/tablero/rock-gt': page => page.locator('.leads').first().waitFor(),
    '/recibo': page => page.getByLabel('Comprobante').waitFor(),
    [`/recibo/${receipt}`]: page => page.getByText('solo se muestra a quien tiene el secreto').waitFor(),
    [`/recibo/${receipt}?de=QR#${secret}`]: page => page.locator('[data-verdict=proven]').waitFor(),
  }
  for (const [name, viewport] of Object.entries({ phone, desktop })) {
    for (const colorScheme of ['light', 'dark']) {
      const { page, check, close } = await visit(browser, { viewport, colorScheme, reducedMotion: 'reduce' })
      for (const [path, ready] of Object.entries(pages)) {
        await page.goto(results + path)
        await ready(page)
        await accessible(page, `${path} ${name} ${colorScheme}`)
        const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
        assert.ok(over <= 0, `${path} ${name} is ${over} px too wide`)
      }
      check()
      await close()
    }
  }
  t.diagnostic(`${Object.keys(pages).length} pages, four times each`)
})
