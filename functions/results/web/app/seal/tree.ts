// Proofs in Merkle trees, as RFC 9162, section 2.1.3 and 2.1.4, has them checked.
import { fromHex, same, sha256, type Bytes } from './bytes'

const mostHashes = 128 // no tree is higher than 64

const leafMark = Uint8Array.of(0)
const nodeMark = Uint8Array.of(1)

export const leafHash = (entry: Uint8Array) => sha256(leafMark, entry)
const node = (left: Uint8Array, right: Uint8Array) => sha256(nodeMark, left, right)

// Sizes are beyond what >> shifts.
const half = (n: number) => Math.floor(n / 2)
const odd = (n: number) => n % 2 === 1

/** Reads the hashes of a proof; null if they are none. */
export function readHashes(list: string[]): Bytes[] | null {
  if (list.length > mostHashes) return null
  const hashes = list.map(fromHex)
  return hashes.every((hash): hash is Bytes => hash?.length === 32) ? hashes : null
}

/** Whether a leaf is at a place of the tree of a size and a root. */
export async function included(index: number, size: number, entry: Uint8Array, hashes: Bytes[], root: Uint8Array): Promise<boolean> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false
  let at = index
  let last = size - 1
  let hash = await leafHash(entry)
  for (const other of hashes) {
    if (last === 0) return false
    if (odd(at) || at === last) {
      hash = await node(other, hash)
      while (!odd(at) && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else {
      hash = await node(hash, other)
    }
    at = half(at)
    last = half(last)
  }
  return last === 0 && same(hash, root)
}

export interface Head { size: number, root: Bytes }

/** Whether one tree is the beginning of another. */
export async function extended(from: Head, to: Head, hashes: Bytes[]): Promise<boolean> {
  if (!Number.isSafeInteger(from.size) || !Number.isSafeInteger(to.size) || from.size < 1 || from.size > to.size) return false
  if (from.size === to.size) return hashes.length === 0 && same(from.root, to.root)
  let at = from.size - 1
  let last = to.size - 1
  while (odd(at)) {
    at = half(at)
    last = half(last)
  }
  const path = at === 0 ? [from.root, ...hashes] : hashes // a full tree is a node of the larger one
  const first = path[0]
  if (!first) return false
  let older: Bytes = first
  let newer: Bytes = first
  for (const other of path.slice(1)) {
    if (last === 0) return false
    if (odd(at) || at === last) {
      older = await node(other, older)
      newer = await node(other, newer)
      while (!odd(at) && at !== 0) {
        at = half(at)
        last = half(last)
      }
    } else {
      newer = await node(newer, other)
    }
    at = half(at)
    last = half(last)
  }
  return last === 0 && same(older, from.root) && same(newer, to.root)
}
