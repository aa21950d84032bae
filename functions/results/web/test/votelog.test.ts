import { describe, expect, it } from 'vitest'
import type { Row } from '~/api/client'
import { extend, fold, within, type Line } from '~/composables/votelog'

const row = (receipt: string, more: Partial<Row> = {}): Row => ({
  key: receipt, contest: 'rock', channel: 'http', at: '2026-11-24T12:00:00Z', name: 'Malacates Trébol Shop', album: 'Uno', year: 1999, rank: 1,
  state: 'counted', ...more,
})
const all = { contest: '', band: '', channel: '', state: '', from: '', to: '' }
const keys = (lines: Line[]) => lines.map(line => line.row ? line.key : 'gap').join(' ')
const line = (receipt: string): Line => ({ key: receipt, row: row(receipt) })

describe('the live tail', () => {
  it('puts what is new above what is there, each vote once', () => {
    const seen = new Set<string>()
    let { lines, added } = extend([line('b'), line('a')], [row('b'), row('a')], all, seen)
    expect([keys(lines), added]).toEqual(['b a', 0])
    ;({ lines, added } = extend(lines, [row('d'), row('c'), row('b')], all, seen))
    expect([keys(lines), added]).toEqual(['d c b a', 2])
  })

  it('marks where it went by too fast', () => {
    const seen = new Set<string>()
    const { lines } = extend([line('a')], [row('a')], all, seen)
    expect(keys(extend(lines, [row('z'), row('y')], all, seen).lines)).toBe('z y gap a')
  })

  it('leaves out what the filter does not choose, and remembers that it saw it', () => {
    const seen = new Set<string>()
    const refused = { ...all, state: 'refused' }
    const { lines } = extend([], [row('a'), row('no', { state: 'refused' })], refused, seen)
    expect(keys(lines)).toBe('no')
    expect(keys(extend(lines, [row('b'), row('a')], refused, seen).lines)).toBe('no')
  })
})

describe('a filter', () => {
  it('takes a band in any spelling, as the log does', () => {
    expect(fold('  MALACATES  Trebol shop ')).toBe(fold('Malacates Trébol Shop'))
    expect(within({ ...all, band: 'malacates trebol SHOP' }, row('a'))).toBe(true)
    expect(within({ ...all, band: 'Malacates' }, row('a'))).toBe(false)
  })

  it('begins at a time and ends before one', () => {
    expect(within({ ...all, from: '2026-11-24T12:00:00Z' }, row('a'))).toBe(true)
    expect(within({ ...all, to: '2026-11-24T12:00:00Z' }, row('a'))).toBe(false)
    expect(within({ ...all, contest: 'default' }, row('a'))).toBe(false)
    expect(within({ ...all, channel: 'grpc' }, row('a'))).toBe(false)
  })
})
