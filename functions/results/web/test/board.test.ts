import { expect, test } from 'vitest'
import type { Band, History } from '~/api/client'
import { lengths } from '~/board/bars'
import { cumulative, perSecond, scaled } from '~/board/curve'

const at = (second: number) => new Date(second * 1000).toISOString()

test('seconds without votes are 0', () => {
  const history = { contest: 'c', step: 'second', from: at(100), to: at(104), points: [{ at: at(101), votes: 3, states: {} }] } as History
  expect(perSecond(history)[0]!.values).toEqual([0, 3, 0, 0])
})

test('a band\'s votes are added up, and what is out of the time shown is not', () => {
  const history = {
    contest: 'c', step: 'minute', from: at(0), to: at(240),
    points: [
      { at: at(60), votes: 5, bands: { A: 3, B: 2 }, others: 0 }, { at: at(180), votes: 1, bands: { A: 1 }, others: 0 },
      { at: at(600), votes: 9, bands: { A: 9 }, others: 0 },
    ],
  } as History
  expect(cumulative(history, ['A', 'C'])).toEqual([{ name: 'A', values: [0, 3, 3, 4] }, { name: 'C', values: [0, 0, 0, 0] }])
})

test('a line fills its box', () => {
  expect(scaled({ name: '', values: [0, 5, 10] }, 10, 100, 50)).toBe('M0.0 50.0L50.0 25.0L100.0 0.0')
  expect(scaled({ name: '', values: [] }, 1, 100, 50)).toBe('')
})

test('the best has the longest bar, whatever best means', () => {
  const bands = [{ name: 'A', votes: 4, mean: 2 }, { name: 'B', votes: 8, mean: 4 }, { name: 'C', votes: 0, mean: null }] as Band[]
  expect(bands.map(lengths(bands, 'votes', false))).toEqual([0.5, 1, 0])
  expect(bands.map(lengths(bands, 'mean', true))).toEqual([1, 0.5, 0])
  expect(bands.map(lengths(bands, 'mean', false))).toEqual([0.5, 1, 0])
  expect([{ votes: 0 }].map(lengths([], 'votes', false) as never)).toEqual([0])
})
