import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Contest } from '~/api/client'
import { wordRefusal } from '~/ballot/messages'
import { Rules } from '~/ballot/rules'

const rules = new URL('../../../../events/rules/', import.meta.url)
const golden = JSON.parse(readFileSync(new URL('testdata/golden.json', rules), 'utf8'))
const module = new WebAssembly.Module(readFileSync(new URL('rules.wasm', rules)))
const hosts = new Map(Object.entries(golden.contests).map(([id, contest]) => [id, new Rules(module, contest as Contest)]))

// A ballot of the page is judged as the functions judge it, by the same table.
test('votes are judged as by the functions', () => {
  let judged = 0
  for (const { say, json, lenient, contest, at, want } of golden.cases) {
    let vote
    try {
      vote = JSON.parse(json)
    } catch {
      continue // the page makes well-formed JSON only
    }
    // What the page cannot write: other fields and forms.
    if (lenient || JSON.stringify(vote) !== json.replace(/\s*([{}:,])\s*/g, '$1')) continue
    const refusal = hosts.get(contest)!.judge(vote, at ?? golden.at)
    const got = refusal ? [want[0] === 'refused' ? 'refused' : '', refusal.code, refusal.field] : ['admitted']
    expect(got, say).toEqual(want.slice(0, got.length))
    judged++
  }
  expect(judged).toBeGreaterThan(20)
})

test('a refusal is told in both languages, with the page\'s name of the field', () => {
  const refusal = { code: 'year_out_of_range', field: 'year', params: { min: '1970', max: '2027' } }
  expect(wordRefusal(refusal, 'es', 'el año')).toBe('El año debe estar entre 1970 y 2027.')
  expect(wordRefusal({ code: 'field_missing', field: 'name', params: {} }, 'en', 'the band')).toContain('the band')
  expect(wordRefusal({ code: 'band_unknown', field: 'name', params: { name: '$& <b>' } }, 'es', 'la banda')).toContain('«$& <b>»')
})
