// Checks a receipt's proof with nothing but what the browser itself makes of it, and against what it saw before.
import { keep, kept } from '~/kept'
import { canDigest, fromHex, same, toHex } from './bytes'
import { readCheckpoint, signatureOf, type Checkpoint } from './checkpoint'
import { commit, readSecret, saltOf, type Opened } from './opening'
import { extended, included, readHashes } from './tree'

export interface Proof { index: number, size: number, hashes: string[], commitment: string, checkpoint: string, key: string }

/** What was found; the first that is wrong. */
export type Verdict =
  | 'proven'
  | 'unsigned' // all holds, but this browser cannot check the signature
  | 'unable' // this browser checks nothing
  | 'other' // the commitment is not to this vote by this secret
  | 'absent' // the proof does not lead from the commitment to the checkpoint's root
  | 'forged' // the checkpoint is not this contest's, or not signed by its key
  | 'rekeyed' // the log has another key than before
  | 'forked' // the log is not the one that this browser saw before

/** How the checkpoint stands to the one that was seen last. */
export type Since = 'first' | 'same' | 'grown' | 'unasked' // unasked: what joins the two could not be had

export interface Finding { verdict: Verdict, since?: Since, size?: number, seen?: number }

/** The checkpoint of a contest that this browser saw last. */
export interface Seen { key: string, size: number, root: string }

export interface Memory { get: (contest: string) => Seen | null, set: (contest: string, seen: Seen) => void }

/** What proves that the log of one size is the beginning of another; null if it cannot be had now. */
export type Join = (contest: string, from: number, to: number) => Promise<string[] | null>

const browser: Memory = {
  get: contest => kept<Seen>(`log.${contest}`),
  set: (contest, seen) => keep(`log.${contest}`, seen),
}

export async function check(vote: Opened, secret: string, proof: Proof, joining: Join, memory: Memory = browser): Promise<Finding> {
  if (!canDigest()) return { verdict: 'unable' }
  const bytes = readSecret(secret)
  const told = fromHex(proof.commitment)
  if (!bytes || !told || !same(await commit(await saltOf(bytes), vote), told)) return { verdict: 'other' }

  const checkpoint = readCheckpoint(proof.checkpoint)
  if (!checkpoint || checkpoint.size !== proof.size || !checkpoint.origin.endsWith(`/${vote.contest}`)) return { verdict: 'forged' }
  const hashes = readHashes(proof.hashes)
  if (!hashes || !await included(proof.index, proof.size, told, hashes, checkpoint.root)) return { verdict: 'absent' }
  const signature = await signatureOf(proof.checkpoint, proof.key)
  if (signature === 'bad') return { verdict: 'forged' }

  const before = memory.get(vote.contest)
  const since = await compare(vote.contest, before, checkpoint, proof.key, joining)
  if (since === 'rekeyed' || since === 'forked') return { verdict: since, size: checkpoint.size, seen: before?.size }
  if (!before || since === 'grown' && checkpoint.size > before.size) {
    memory.set(vote.contest, { key: proof.key, size: checkpoint.size, root: toHex(checkpoint.root) })
  }
  return { verdict: signature === 'good' ? 'proven' : 'unsigned', since, size: checkpoint.size, seen: before?.size }
}

async function compare(contest: string, before: Seen | null, now: Checkpoint, key: string, joining: Join): Promise<Since | 'rekeyed' | 'forked'> {
  const root = before && fromHex(before.root)
  if (!before || !root) return 'first'
  if (before.key !== key) return 'rekeyed'
  if (before.size === now.size) return same(root, now.root) ? 'same' : 'forked'
  const seen = { size: before.size, root }
  const [from, to] = seen.size < now.size ? [seen, now] : [now, seen]
  const list = await joining(contest, from.size, to.size)
  if (!list) return 'unasked'
  const hashes = readHashes(list)
  return hashes && await extended(from, to, hashes) ? 'grown' : 'forked'
}
