// A host of the house's rules: the module that judges votes in the functions judges the ballot here, before it is sent.
// events/rules/README.md tells the interface.
import type { Contest } from '~/api/client'

interface Exports {
  memory: WebAssembly.Memory
  room: (size: number) => number
  read: (length: number, strict: number) => number
  judge: (length: number) => number
  contest: (length: number) => number
}

export interface Refusal { code: string, field: string, params: Record<string, string> }

/** A vote as it is handed in. */
export interface Vote { id: string, name: string, album: string, year: string, rank: string, voter?: string }

const refused = 1
const lengthsAt = [28, 32, 36, 40, 44] as const // of name, album, voter, id, contest in a ballot
const textsAt = 48

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

export class Rules {
  private readonly wasm: Exports

  constructor(module: WebAssembly.Module, contest: Contest) {
    this.wasm = new WebAssembly.Instance(module).exports as unknown as Exports
    const terms = encoder.encode(JSON.stringify(contest))
    this.write(terms)
    const at = this.wasm.contest(terms.length)
    if (at !== 0) throw new Error(decoder.decode(this.answer(at).body))
  }

  /** Judges a vote as if it was received at a time: null if it is admitted, else why it is not. */
  judge(vote: Vote, at: number): Refusal | null {
    const text = encoder.encode(JSON.stringify(vote))
    this.write(text)
    const ballot = this.answer(this.wasm.read(text.length, 1))
    if (ballot.kind === refused) return refusalOf(ballot.body)
    const bytes = withoutNames(ballot.body)
    new DataView(bytes.buffer).setBigInt64(0, BigInt(at), true)
    this.write(bytes)
    const answer = this.answer(this.wasm.judge(bytes.length))
    return answer.kind === refused ? refusalOf(answer.body) : null
  }

  private write(bytes: Uint8Array) {
    const at = this.wasm.room(bytes.length)
    if (at === 0) throw new Error(`no room for ${bytes.length} bytes`)
    new Uint8Array(this.wasm.memory.buffer).set(bytes, at)
  }

  private answer(at: number) {
    if (at === 0) return { kind: 0, body: new Uint8Array() }
    const head = new DataView(this.wasm.memory.buffer, at)
    return { kind: head.getUint32(0, true), body: new Uint8Array(this.wasm.memory.buffer, at + 8, head.getUint32(4, true)).slice() }
  }
}

// withoutNames returns a ballot as judge takes it: without id and contest. Of the voter it needs to know only that there
// is one.
function withoutNames(ballot: Uint8Array): Uint8Array {
  const view = new DataView(ballot.buffer, ballot.byteOffset)
  const [name, album, voter] = lengthsAt.map(at => view.getUint32(at, true)) as [number, number, number]
  const kept = ballot.slice(0, textsAt + name + album + voter)
  const lengths = new DataView(kept.buffer)
  lengths.setUint32(40, 0, true)
  lengths.setUint32(44, 0, true)
  return kept
}

function refusalOf(body: Uint8Array): Refusal {
  const texts: string[] = []
  const view = new DataView(body.buffer)
  for (let at = 0; at < body.length;) {
    const length = view.getUint32(at, true)
    texts.push(decoder.decode(body.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  const [code = '', field = '', ...rest] = texts
  const params: Record<string, string> = {}
  for (let i = 0; i + 1 < rest.length; i += 2) params[rest[i]!] = rest[i + 1]!
  return { code, field, params }
}
