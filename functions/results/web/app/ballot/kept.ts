// What a browser remembers of its votes: the one that is being handed in, so that it is the same one after the page was
// closed, the receipts, and who it is, for contests that limit the votes of each voter.
import { keep, kept } from '~/kept'
import type { Receipt } from './cast'
import type { Vote } from './rules'

export interface Cast { contest: string, receipt: string, at: string, name: string, album: string, secret?: string }

const mostReceipts = 30

/** A name that nobody else has. It works on pages without TLS too, where there is no crypto.randomUUID. */
export const freshID = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')

export const underWay = (contest: string) => kept<Vote>(`ballot.${contest}`)
export const setUnderWay = (contest: string, vote: Vote | null) => keep(`ballot.${contest}`, vote)

export const castVotes = () => kept<Cast[]>('votes') ?? []

export function addCast(vote: Vote, { contest, receipt, received_at: at, secret }: Receipt) {
  const others = castVotes().filter(cast => cast.receipt !== receipt)
  keep('votes', [{ contest, receipt, at, name: vote.name, album: vote.album, secret }, ...others].slice(0, mostReceipts))
}

/** This browser's own name as a voter. */
export function browserVoter(): string {
  const known = kept<string>('voter')
  if (known) return known
  const made = `browser:${freshID()}`
  keep('voter', made)
  return made
}
