import { Problem, type Row } from '~/api/client'
import { ledgers, type LogFilter } from '~/api/ledgers'

/** The most rows that the page holds. Who looks for more chooses more narrowly, or exports. */
const heldRows = 20_000

/** A line of the log: a vote, or a place where the live tail went by too fast for all to be shown. */
export type Line = { key: string, row: Row } | { key: string, row: null }

/** What a row is known again by: no row says which receipt it is of, but to the organiser. */
const keyOf = (row: Row) => row.key ?? ''

/** As events.Fold: without regard to case, accents and spaces. */
export const fold = (name: string) =>
  name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().split(/\s+/).filter(Boolean).join(' ')

/** Whether a vote is one of a filter: the live tail knows contests only. */
export function within(filter: LogFilter, row: Row) {
  return (!filter.contest || row.contest === filter.contest)
    && (!filter.band || fold(row.name) === fold(filter.band))
    && (!filter.channel || row.channel === filter.channel)
    && (!filter.state || row.state === filter.state)
    && (!filter.from || Date.parse(row.at) >= Date.parse(filter.from))
    && (!filter.to || Date.parse(row.at) < Date.parse(filter.to))
}

/** Puts the newest votes, newest first, before the lines that are there. */
export function extend(lines: Line[], newest: Row[], filter: LogFilter, seen: Set<string>): { lines: Line[], added: number } {
  const fresh = newest.filter(row => !seen.has(keyOf(row)))
  const missed = seen.size > 0 && fresh.length > 0 && fresh.length === newest.length
  fresh.forEach(row => seen.add(keyOf(row)))
  const there = new Set(lines.slice(0, 4 * newest.length).map(line => line.key))
  const above: Line[] = fresh.filter(row => within(filter, row) && !there.has(keyOf(row))).map(row => ({ key: keyOf(row), row }))
  if (missed && lines.length) above.push({ key: `gap ${lines[0]!.key}`, row: null })
  return { lines: above.length ? [...above, ...lines].slice(0, heldRows) : lines, added: above.filter(line => line.row).length }
}

/** The log of a filter: its pages one after another, and above them what is new. */
export function useVoteLog(filter: () => LogFilter, token: () => string) {
  const lines = shallowRef<Line[]>([])
  const next = ref<string | null>('')
  const problem = shallowRef<Problem | null>(null)
  const waiting = ref(false)
  const live = ref<'off' | 'connecting' | 'on'>('off')
  const added = ref(0) // by the live tail, in all
  let asking: AbortController | undefined
  let source: EventSource | undefined
  let seen = new Set<string>() // by the live tail

  async function load(after: string) {
    asking?.abort()
    const mine = asking = new AbortController()
    waiting.value = true
    try {
      const page = await ledgers.page(filter(), after, { signal: mine.signal, token: token() || undefined })
      if (mine.signal.aborted) return
      const there = new Set(lines.value.map(line => line.key))
      const more = page.rows.filter(row => !there.has(keyOf(row))).map(row => ({ key: keyOf(row), row }))
      // Above the first page there is only what the live tail had sooner than the log.
      const known = new Set(page.rows.map(keyOf))
      lines.value = after === ''
        ? [...lines.value.filter(line => !known.has(line.key)), ...page.rows.map(row => ({ key: keyOf(row), row }))]
        : [...lines.value, ...more]
      next.value = page.next
      problem.value = null
    } catch (cause) {
      if (mine.signal.aborted) return
      if (!(cause instanceof Problem)) throw cause
      problem.value = cause
    } finally {
      if (mine === asking) waiting.value = false
    }
  }

  /** Begins anew, with the newest. */
  async function begin() {
    lines.value = []
    next.value = ''
    added.value = 0
    if (source) listen()
    await load('')
  }

  /** Adds the page that follows, if one does. */
  async function more() {
    if (next.value && !waiting.value && !full.value) await load(next.value)
  }

  function listen() {
    source?.close()
    seen = new Set()
    live.value = 'connecting'
    source = new EventSource(ledgers.tailURL(filter().contest))
    source.addEventListener('open', () => { live.value = 'on' })
    source.addEventListener('error', () => {
      live.value = 'connecting'
      // A browser comes back by itself, unless it was refused.
      if (source?.readyState === EventSource.CLOSED) later = setTimeout(listen, 3000)
    })
    source.addEventListener('votes', (event) => {
      const { rows } = JSON.parse((event as MessageEvent<string>).data) as { rows: Row[] }
      const extended = extend(lines.value, rows, filter(), seen)
      if (seen.size > heldRows) seen = new Set(rows.map(keyOf))
      lines.value = extended.lines
      added.value += extended.added
    })
  }
  let later: ReturnType<typeof setTimeout> | undefined

  function follow(wanted: boolean) {
    clearTimeout(later)
    if (wanted && !source) listen()
    if (!wanted) {
      source?.close()
      source = undefined
      live.value = 'off'
    }
  }

  const full = computed(() => lines.value.length >= heldRows)
  onScopeDispose(() => {
    asking?.abort()
    follow(false)
  })
  return { lines, next, problem, waiting, live, added, full, begin, more, follow }
}
