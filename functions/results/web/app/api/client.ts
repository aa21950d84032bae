// What the pages ask of the function that serves them.
import type { components } from './schema'

type Schemas = components['schemas']
export type ContestLine = Schemas['ContestLine']
export type Contest = Schemas['Contest']
export type Board = Schemas['Board']
export type Band = Board['bands'][number]
export type History = Schemas['History']
export type Balance = Schemas['Balance']
export type Row = Schemas['Row']
export type DeadLetter = Schemas['DeadLetter']
export type Receipt = Schemas['Receipt']
export type OpenReceipt = Schemas['OpenReceipt']
export type Annulments = Schemas['Annulments']
export type State = Row['state'] | 'pending'
export type LogPage = { rows: Row[], next: string | null }

/** Why there is no answer: problem details of the house, or none at all. */
export class Problem extends Error {
  constructor(
    readonly status: number, // 0: nobody answered
    readonly code: string,
    detail: string,
    readonly field = '',
    readonly params: Record<string, string> = {},
    readonly retryAfter = 0, // seconds
  ) {
    super(detail)
  }

  /** Whether asking the same again may help. */
  get passes() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

export interface Asking {
  token?: string
  secret?: string // of a receipt
  signal?: AbortSignal
  query?: Record<string, string | number | undefined>
}

const patience = 15_000

/** Asks for JSON. What is not an answer is thrown as a Problem. */
export async function ask<T>(path: string, { token, secret, signal, query }: Asking = {}): Promise<T> {
  const answer = await fetchOrProblem(path + search(query), {
    headers: { Accept: 'application/json', ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(secret ? { 'Receipt-Secret': secret } : {}) },
    signal,
  })
  return await answer.json() as T
}

/** Fetches; an answer that is not one of success is thrown as a Problem. */
export async function fetchOrProblem(url: string, init: RequestInit): Promise<Response> {
  const late = AbortSignal.timeout(patience)
  const signal = init.signal ? AbortSignal.any([init.signal, late]) : late
  let answer: Response
  try {
    answer = await fetch(url, { ...init, signal, credentials: 'omit', referrerPolicy: 'no-referrer' })
  } catch (cause) {
    if (init.signal?.aborted) throw cause
    throw new Problem(0, 'unreached', String(cause))
  }
  if (answer.ok) return answer
  throw await problemOf(answer)
}

export async function problemOf(answer: Response): Promise<Problem> {
  const told = await answer.json().catch(() => ({})) as Record<string, unknown>
  const text = (name: string) => typeof told[name] === 'string' ? told[name] : ''
  const seconds = Number(answer.headers.get('Retry-After'))
  return new Problem(
    answer.status, text('code') || 'unknown', text('detail') || text('title'), text('field'),
    (told.params ?? {}) as Record<string, string>, Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) : 0,
  )
}

function search(query: Asking['query'] = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
  return given.length ? '?' + new URLSearchParams(given.map(([name, value]) => [name, String(value)])) : ''
}

const of = (contest: string, what = '') => `/v1/contests/${encodeURIComponent(contest)}${what}`

export const api = {
  contests: (asking?: Asking) => ask<{ contests: ContestLine[] }>('/v1/contests', asking).then(list => list.contests),
  contest: (id: string, asking?: Asking) => ask<Contest>(of(id), asking),
  board: (id: string, asking?: Asking) => ask<Board>(of(id, '/board'), asking),
  history: (id: string, step: 'second' | 'minute', asking?: Asking) =>
    ask<History>(of(id, '/history'), { ...asking, query: { step, ...asking?.query } }),
  balance: (id: string, asking?: Asking) => ask<Balance>(of(id, '/balance'), asking),
  annulments: (id: string, asking?: Asking) => ask<Annulments>(of(id, '/annulments'), asking),
  /** What proves that the public log of one size is the beginning of that of another. */
  consistency: (id: string, from: number, to: number, asking?: Asking) =>
    ask<{ hashes: string[] }>(of(id, '/log/consistency'), { ...asking, query: { from, to } }).then(answer => answer.hashes),
  checkpointURL: (id: string) => of(id, '/log/checkpoint'),
  keyURL: (id: string) => of(id, '/log/key'),
  archiveURL: (id: string) => of(id, '/archive'),
  receipt: (receipt: string, asking?: Asking) => ask<Receipt | OpenReceipt>(`/v1/receipts/${encodeURIComponent(receipt)}`, asking),
  logs: (query: Asking['query'], asking?: Asking) => ask<LogPage>('/logs', { ...asking, query }),
  dead: (token: string, query: Asking['query'], asking?: Asking) =>
    ask<{ letters: DeadLetter[], more: boolean }>('/v1/dead', { ...asking, token, query }),
  streamURL: (id: string) => of(id, '/stream'),
}

/** Where votes are handed in: the function ingress-http, as results was told. Empty: not by these pages. */
export function doorURL(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="marimba:door"]')?.content ?? ''
}
