import { expect, test } from 'vitest'
import en from '~/words/en.json'
import es from '~/words/es.json'

const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort()

test('both languages say the same things with the same values', () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(es).sort())
  for (const [key, text] of Object.entries(es)) expect(places(en[key as keyof typeof en]), key).toEqual(places(text))
})
