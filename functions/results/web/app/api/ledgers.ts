// What the pages of the log and of the books ask.
import { ask, fetchOrProblem, type Asking, type LogPage, type State } from './client'
import type { components } from './schema'

type Schemas = components['schemas']
export type Way = Schemas['Way']
export type Flight = Schemas['Flight']
export type Statement = Schemas['Statement']
export type Replayed = Schemas['Replayed']
export type Channel = Schemas['Channel']

export const channels: Channel[] = ['http', 'wasm', 'grpc', 'event']
export const states = ['counted', 'annulled', 'duplicate', 'over_limit', 'refused', 'dead'] as const
export const loggedStates = ['counted', 'annulled', 'duplicate', 'over_limit', 'refused'] as const

/** Which votes of the log: those of all that is given. Times are RFC 3339. */
export interface LogFilter { contest: string, band: string, channel: string, state: string, from: string, to: string }

/** How many rows are asked for at once. */
export const pageRows = 200
/** The most rows of a page, which is what everybody may take with them. */
export const mostRows = 1000

/** Where a file of the log is: with a limit a page, for everybody; without one all of it, for the organiser. */
export function logFile(filter: LogFilter, format: 'csv' | 'ndjson', limit?: number) {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value))
  query.set('format', format)
  if (limit) {
    query.set('limit', String(limit))
    query.set('after', '')
  }
  return `/logs?${query}`
}

export const ledgers = {
  // The first page is that behind an empty place: then it is the log's and not the newest votes, which have no next.
  page: (filter: LogFilter, after: string, asking: Asking) => {
    const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value))
    query.set('limit', String(pageRows))
    query.set('after', after)
    return ask<LogPage>(`/logs?${query}`, asking)
  },
  tailURL: (contest: string) => '/logs/stream' + (contest ? `?contest=${encodeURIComponent(contest)}` : ''),
  byID: (contest: string, id: string, asking?: Asking) =>
    ask<{ contest: string, id: string, state: State }>(`/v1/contests/${encodeURIComponent(contest)}/votes/${encodeURIComponent(id)}`, asking),
  flight: (asking?: Asking) => ask<Flight>('/v1/flight', asking),
  /** The statement, with its text as it was declared: the digest is of just this text. */
  async statement(contest: string, { signal }: Asking = {}) {
    const answer = await fetchOrProblem(`/v1/contests/${encodeURIComponent(contest)}/statement`, { signal })
    const text = await answer.text()
    const read = JSON.parse(text) as { sha256: string, statement: Statement }
    return { ...read, text: text.slice(text.indexOf('"statement":') + '"statement":'.length, text.lastIndexOf('}')) }
  },
  async replay(token: string, ids: string[]) {
    const answer = await fetchOrProblem('/v1/dead/replay', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
      body: JSON.stringify({ ids }),
    })
    return await answer.json() as Replayed
  },
  /** A whole export, as the browser keeps it until it is saved. */
  async file(token: string, filter: LogFilter, format: 'csv' | 'ndjson', signal: AbortSignal) {
    const answer = await fetch(logFile(filter, format), {
      headers: { Authorization: `Bearer ${token}` }, credentials: 'omit', referrerPolicy: 'no-referrer', signal,
    })
    return { answer, blob: answer.ok ? await answer.blob() : null }
  },
}
