import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex, utf8, type Bytes } from '~/seal/bytes'
import { check, type Memory, type Proof, type Seen } from '~/seal/check'
import { readCheckpoint, signatureOf } from '~/seal/checkpoint'
import { commit, openingText, readSecret, saltOf, type Opened } from '~/seal/opening'
import { extended, included, leafHash, readHashes } from '~/seal/tree'

// The vectors are those of the package that makes the log: what these pages check is what it makes.
interface Vectors {
  votes: (Opened & { secret: string, salt: string, opening: string, commitment: string, leaf: string })[]
  roots: { size: number, root: string }[]
  inclusion: { size: number, index: number, entry: string, hashes: string[] }[]
  consistency: { from: number, to: number, hashes: string[] }[]
  checkpoints: { origin: string, size: number, root: string, key: string, text: string }[]
}
const vectors = JSON.parse(readFileSync(new URL('../../../../events/seal/testdata/vectors.json', import.meta.url), 'utf8')) as Vectors

const hex = (text: string) => fromHex(text)!
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const root = (size: number) => hex(vectors.roots.find(each => each.size === size)!.root)
const flipped = (bytes: Bytes) => bytes.map((byte, i) => i ? byte : byte ^ 1) as Bytes
const shown = (vote: Vectors['votes'][number]): Opened => ({ ...vote, rank: vote.rank / 100 })

describe('a commitment', () => {
  it.each(vectors.votes)('is that of the log: $name', async (vote) => {
    const salt = await saltOf(readSecret(vote.secret)!)
    expect(base64url(salt)).toBe(vote.salt)
    expect(openingText(shown(vote))).toBe(vote.opening)
    const commitment = await commit(salt, shown(vote))
    expect(toHex(commitment)).toBe(vote.commitment)
    expect(toHex(await leafHash(commitment))).toBe(vote.leaf)
  })

  it('is made of a whole secret only', () => {
    for (const text of ['', 'short', `${vectors.votes[0]!.secret}A`, '='.repeat(22)]) expect(readSecret(text)).toBeNull()
  })
})

describe('a proof of inclusion', () => {
  it.each(vectors.inclusion)('holds for leaf $index of $size, and for nothing else', async ({ size, index, entry, hashes }) => {
    const path = readHashes(hashes)!
    expect(await included(index, size, hex(entry), path, root(size))).toBe(true)
    expect(await included(index, size, flipped(hex(entry)), path, root(size))).toBe(false)
    expect(await included(index, size, hex(entry), path, flipped(root(size)))).toBe(false)
    expect(await included(index, size, hex(entry), [...path, root(1)], root(size))).toBe(false)
    expect(await included(index + 1, size, hex(entry), path, root(size))).toBe(false)
    for (let i = 0; i < path.length; i++) {
      expect(await included(index, size, hex(entry), path.map((hash, k) => k === i ? flipped(hash) : hash), root(size))).toBe(false)
    }
    if (path.length) expect(await included(index, size, hex(entry), path.slice(1), root(size))).toBe(false)
  })

  it('is of hashes', () => {
    expect(readHashes(['ab'])).toBeNull()
    expect(readHashes([`${'zz'.repeat(32)}`])).toBeNull()
    expect(readHashes(Array.from({ length: 129 }, () => 'ab'.repeat(32)))).toBeNull()
  })
})

describe('a proof of consistency', () => {
  it.each(vectors.consistency)('holds from $from to $to, and for nothing else', async ({ from, to, hashes }) => {
    const path = readHashes(hashes)!
    const older = { size: from, root: root(from) }
    const newer = { size: to, root: root(to) }
    expect(await extended(older, newer, path)).toBe(true)
    expect(await extended({ ...older, root: flipped(older.root) }, newer, path)).toBe(false)
    expect(await extended(older, { ...newer, root: flipped(newer.root) }, path)).toBe(false)
    expect(await extended(newer, older, path)).toBe(from === to)
    for (let i = 0; i < path.length; i++) {
      expect(await extended(older, newer, path.map((hash, k) => k === i ? flipped(hash) : hash))).toBe(false)
    }
    expect(await extended(older, newer, [...path, root(1)])).toBe(false)
  })
})

describe('a checkpoint', () => {
  it.each(vectors.checkpoints)('of $size leaves is read, and held to its key', async ({ origin, size, root, key, text }) => {
    const said = readCheckpoint(text)!
    expect([said.origin, said.size, toHex(said.root)]).toEqual([origin, size, root])
    expect(await signatureOf(text, key)).toBe('good')
    expect(await signatureOf(text.replace(`\n${size}\n`, `\n${size + 1}\n`), key)).toBe('bad')
    expect(await signatureOf(text, key.replace('example', 'exempla'))).toBe('bad')
    const name = `${origin}x`
    expect(await signatureOf(text.replaceAll(origin, name), key)).toBe('bad')
    const signed = text.lastIndexOf(' ')
    const other = text[signed + 20] === 'A' ? 'B' : 'A'
    expect(await signatureOf(text.slice(0, signed + 20) + other + text.slice(signed + 21), key)).toBe('bad')
  })

  it('is nothing else', () => {
    const { text } = vectors.checkpoints[0]!
    for (const not of ['', 'hello\n', text.slice(0, -1), text.replace('\n1\n', '\n01\n'), text.replace('\n1\n', '\n-1\n'), 'x'.repeat(20_000)]) {
      expect(readCheckpoint(not)).toBeNull()
    }
  })
})

/** A log of one leaf, the vote's own, signed by a key that is made here. */
async function sealed(vote: Vectors['votes'][number], more: Uint8Array[] = []) {
  const key = await crypto.subtle.generateKey({ name: 'Ed25519' }, true, ['sign', 'verify']) as CryptoKeyPair
  return { ...await signed(key, vote, more), key }
}

async function signed(key: CryptoKeyPair, vote: Vectors['votes'][number], more: Uint8Array[] = []) {
  const origin = `marimba.example/${vote.contest}`
  const raw = new Uint8Array([1, ...new Uint8Array(await crypto.subtle.exportKey('raw', key.publicKey))])
  const digest = async (...parts: Uint8Array[]) => new Uint8Array(await crypto.subtle.digest('SHA-256', Buffer.concat(parts)))
  const hash = (await digest(utf8(`${origin}\n`), raw)).slice(0, 4)
  let top = await leafHash(hex(vote.commitment))
  const hashes: string[] = []
  for (const entry of more) { // each next one is the right half of a tree of two: one is enough
    const right = await leafHash(entry)
    hashes.push(toHex(right))
    top = await digest(Uint8Array.of(1), top, right) as Bytes
  }
  const size = 1 + more.length
  const body = `${origin}\n${size}\n${Buffer.from(top).toString('base64')}\n`
  const by = new Uint8Array(await crypto.subtle.sign({ name: 'Ed25519' }, key.privateKey, utf8(body)))
  const proof: Proof = {
    index: 0, size, hashes, commitment: vote.commitment,
    checkpoint: `${body}\n— ${origin} ${Buffer.concat([hash, by]).toString('base64')}\n`,
    key: `${origin}+${toHex(hash)}+${Buffer.from(raw).toString('base64')}`,
  }
  return { proof, root: toHex(top) }
}

const remembered = (): Memory & { of: Map<string, Seen> } => {
  const of = new Map<string, Seen>()
  return { of, get: contest => of.get(contest) ?? null, set: (contest, seen) => { of.set(contest, seen) } }
}
const never = async () => { throw new Error('nobody is to be asked') }

describe('a receipt', () => {
  const vote = vectors.votes[0]!

  it('is proven, and what was seen is kept', async () => {
    const { proof, root } = await sealed(vote)
    const memory = remembered()
    expect(await check(shown(vote), vote.secret, proof, never, memory)).toMatchObject({ verdict: 'proven', since: 'first', size: 1 })
    expect(memory.of.get(vote.contest)).toEqual({ key: proof.key, size: 1, root })
    expect(await check(shown(vote), vote.secret, proof, never, memory)).toMatchObject({ verdict: 'proven', since: 'same' })
  })

  it('is not that of another vote, of another secret, or with another proof', async () => {
    const { proof } = await sealed(vote, [utf8('x'.repeat(32))])
    const verdict = async (change: Partial<Proof>, of: Partial<Opened> = {}, secret = vote.secret) => {
      const memory = remembered()
      const found = await check({ ...shown(vote), ...of }, secret, { ...proof, ...change }, never, memory)
      if (found.verdict !== 'proven') expect(memory.of.size).toBe(0)
      return found.verdict
    }
    expect(await verdict({})).toBe('proven')
    for (const of of [{ name: 'Otra' }, { album: '' }, { year: 1994 }, { rank: 1.01 }, { channel: 'grpc' }]) expect(await verdict({}, of)).toBe('other')
    expect(await verdict({}, {}, vectors.votes[1]!.secret)).toBe('other')
    expect(await verdict({ commitment: vectors.votes[1]!.commitment })).toBe('other')
    expect(await verdict({ hashes: ['ab'.repeat(32)] })).toBe('absent')
    expect(await verdict({ index: 1 })).toBe('absent')
    expect(await verdict({ size: 3 })).toBe('forged')
    expect(await verdict({ key: (await sealed(vote)).proof.key })).toBe('forged')
    expect(await verdict({ checkpoint: vectors.checkpoints[0]!.text, size: 1 })).toBe('forged')
  })

  it('is held against the checkpoint that was seen last', async () => {
    const memory = remembered()
    const one = await sealed(vote)
    await check(shown(vote), vote.secret, one.proof, never, memory)
    const two = await signed(one.key, vote, [utf8('y'.repeat(32))])
    const asked: number[][] = []
    const joins = (hashes: string[] | null) => async (_: string, from: number, to: number) => {
      asked.push([from, to])
      return hashes
    }
    expect(await check(shown(vote), vote.secret, two.proof, joins(null), memory)).toMatchObject({ verdict: 'proven', since: 'unasked' })
    expect(memory.of.get(vote.contest)!.size).toBe(1)
    expect((await check(shown(vote), vote.secret, two.proof, joins(['ab'.repeat(32)]), memory)).verdict).toBe('forked')
    expect(await check(shown(vote), vote.secret, two.proof, joins(two.proof.hashes), memory)).toMatchObject({ verdict: 'proven', since: 'grown', seen: 1 })
    expect(memory.of.get(vote.contest)!.size).toBe(2)
    expect(await check(shown(vote), vote.secret, one.proof, joins(two.proof.hashes), memory)).toMatchObject({ verdict: 'proven', since: 'grown' })
    expect(memory.of.get(vote.contest)!.size).toBe(2)
    expect(asked).toEqual([[1, 2], [1, 2], [1, 2], [1, 2]])
    expect((await check(shown(vote), vote.secret, (await signed(one.key, vote, [utf8('z'.repeat(32))])).proof, never, memory)).verdict).toBe('forked')
    expect((await check(shown(vote), vote.secret, (await sealed(vote)).proof, never, memory)).verdict).toBe('rekeyed')
  })
})
