// Hands a vote in, as often as it takes. Its id is made once and stays: however often the vote arrives, it counts once.
import { doorURL, fetchOrProblem, Problem } from '~/api/client'
import type { Vote } from './rules'

/** What a voter is given; the secret proves that the vote is theirs. */
export interface Receipt { id: string, contest: string, receipt: string, received_at: string, secret?: string, commitment?: string }

/** Where the handing in of a vote is. */
export type Casting =
  | { step: 'sending' }
  | { step: 'waiting', until: number } // then it is sent again
  | { step: 'offline' } // it is sent when there is a connection again
  | { step: 'stuck' } // tried often enough; the voter may go on
  | { step: 'refused', problem: Problem }
  | { step: 'done', receipt: Receipt }

export interface World {
  send: (contest: string, vote: Vote, signal: AbortSignal) => Promise<Receipt>
  online: (signal: AbortSignal) => Promise<void> // resolves once there is a connection
  connected: () => boolean
  rest: (ms: number, signal: AbortSignal) => Promise<void>
  now: () => number
  chance: () => number
}

export const mostTries = 8
const longestRest = 30 // seconds

/** Tells each step until the last one. Aborting ends it without another step. */
export async function* cast(contest: string, vote: Vote, signal: AbortSignal, world: World = browser): AsyncGenerator<Casting> {
  for (let tries = 1; !signal.aborted; tries++) {
    if (!world.connected()) {
      yield { step: 'offline' }
      await world.online(signal)
    }
    yield { step: 'sending' }
    let problem: Problem
    try {
      const receipt = await world.send(contest, vote, signal)
      yield { step: 'done', receipt }
      return
    } catch (cause) {
      if (signal.aborted) return
      if (!(cause instanceof Problem)) throw cause
      problem = cause
    }
    if (!problem.passes) {
      yield { step: 'refused', problem }
      return
    }
    if (tries === mostTries) {
      yield { step: 'stuck' }
      return
    }
    // All who were turned away at once do not come back at once.
    const seconds = Math.min(longestRest, Math.max(problem.retryAfter, 2 ** (tries - 1))) * (1 + world.chance() / 2)
    yield { step: 'waiting', until: world.now() + seconds * 1000 }
    await world.rest(seconds * 1000, signal)
  }
}

const once = (signal: AbortSignal, begin: (done: () => void) => () => void) => new Promise<void>((resolve) => {
  const end = begin(done)
  function done() {
    end()
    signal.removeEventListener('abort', done)
    resolve()
  }
  if (signal.aborted) done()
  else signal.addEventListener('abort', done)
})

const browser: World = {
  async send(contest, vote, signal) {
    const answer = await fetchOrProblem(`${doorURL()}/v1/contests/${encodeURIComponent(contest)}/votes`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': vote.id, 'Accept': 'application/json' },
      body: JSON.stringify(vote),
      signal,
    })
    return await answer.json() as Receipt
  },
  online: signal => once(signal, (done) => {
    addEventListener('online', done)
    return () => removeEventListener('online', done)
  }),
  connected: () => navigator.onLine,
  rest: (ms, signal) => once(signal, (done) => {
    const timer = setTimeout(done, ms)
    return () => clearTimeout(timer)
  }),
  now: Date.now,
  chance: Math.random,
}
