// Checkpoints: signed notes of C2SP tlog-checkpoint, by keys of Ed25519.
import { fromBase64, same, sha256, toHex, utf8, type Bytes } from './bytes'

export interface Checkpoint { origin: string, size: number, root: Bytes }
export type Signature = 'good' | 'bad' | 'unable' // unable: this browser has no Ed25519

const mostText = 16_384
const ed25519 = 1

/** Reads what a checkpoint says; null if it is none. Whether it is signed, signatureOf tells. */
export function readCheckpoint(text: string): Checkpoint | null {
  const [body] = parts(text) ?? []
  const [origin, size, root, ...rest] = body?.split('\n') ?? []
  if (!origin || !size || !root || !/^(0|[1-9]\d{0,15})$/.test(size) || rest.at(-1) !== '') return null
  const hash = fromBase64(root)
  return hash?.length === 32 && Number.isSafeInteger(Number(size)) ? { origin, size: Number(size), root: hash } : null
}

/** Takes a note apart: the text that is signed, and the lines of the signatures. */
function parts(text: string): [string, string[]] | null {
  const at = text.lastIndexOf('\n\n')
  if (text.length > mostText || at < 0 || !text.endsWith('\n')) return null
  return [text.slice(0, at + 1), text.slice(at + 2, -1).split('\n')]
}

/** Reads a log's key, "name+hash+key"; null if it is none. */
async function readKey(text: string): Promise<{ name: string, hash: Bytes, key: Bytes } | null> {
  const found = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text)
  const bytes = found && fromBase64(found[3]!)
  if (!found || bytes?.length !== 33 || bytes[0] !== ed25519) return null
  const hash = (await sha256(utf8(`${found[1]}\n`), bytes)).slice(0, 4)
  return toHex(hash) === found[2] ? { name: found[1]!, hash, key: bytes.slice(1) } : null
}

/** Whether a checkpoint is signed by a key, whose name is the checkpoint's origin. */
export async function signatureOf(text: string, vkey: string): Promise<Signature> {
  const key = await readKey(vkey)
  const note = parts(text)
  if (!key || !note || readCheckpoint(text)?.origin !== key.name) return 'bad'
  const [body, lines] = note
  for (const line of lines) {
    const [dash, name, sealed] = line.split(' ')
    const bytes = dash === '—' && name === key.name && sealed ? fromBase64(sealed) : null
    if (bytes?.length !== 68 || !same(bytes.slice(0, 4), key.hash)) continue
    let imported: CryptoKey
    try {
      imported = await crypto.subtle.importKey('raw', key.key, { name: 'Ed25519' }, false, ['verify'])
    } catch {
      return 'unable'
    }
    return await crypto.subtle.verify({ name: 'Ed25519' }, imported, bytes.slice(4), utf8(body)) ? 'good' : 'bad'
  }
  return 'bad'
}
