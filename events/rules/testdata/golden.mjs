// Holds rules.wasm, as JavaScript runs it, against the golden table. It is also
// the shortest host there is: what a page does that judges a ballot.
import { readFileSync } from 'node:fs'

const here = name => new URL(name, import.meta.url)
const golden = JSON.parse(readFileSync(here('golden.json'), 'utf8'))
const module = await WebAssembly.compile(readFileSync(here('../rules.wasm')))

class Rules {
  constructor (contest) {
    this.module = new WebAssembly.Instance(module).exports
    this.contest = contest
    const bytes = new TextEncoder().encode(JSON.stringify(contest))
    this.write(bytes)
    const at = this.module.contest(bytes.length)
    if (at !== 0) throw new Error(text(this.answer(at).body))
  }

  write (bytes) {
    const at = this.module.room(bytes.length)
    new Uint8Array(this.module.memory.buffer).set(bytes, at)
  }

  answer (at) {
    if (at === 0) return { kind: 0 }
    const head = new DataView(this.module.memory.buffer, at)
    const body = new Uint8Array(this.module.memory.buffer, at + 8, head.getUint32(4, true)).slice()
    return { kind: head.getUint32(0, true), body }
  }

  // judge returns what became of the bytes of a vote that came in at a time.
  judge (bytes, strict, at) {
    this.write(bytes)
    const ballot = this.answer(this.module.read(bytes.length, strict ? 1 : 0))
    if (ballot.kind === 1) return refusal(ballot.body)
    const view = new DataView(ballot.body.buffer)
    view.setBigInt64(0, BigInt(at), true)
    this.write(ballot.body)
    const answer = this.answer(this.module.judge(ballot.body.length))
    if (answer.kind === 1) return refusal(answer.body)

    let end = 48
    const [name, album, voter, id, contest] = [28, 32, 36, 40, 44].map(length => {
      const from = end
      end += view.getUint32(length, true)
      return text(ballot.body.subarray(from, end))
    })
    const vote = { name, album }
    if (answer.kind === 2) {
      const spelling = new DataView(answer.body.buffer)
      const band = this.contest.bands[spelling.getUint32(0, true)]
      const record = spelling.getUint32(4, true)
      vote.name = band.name
      if (record !== 0xffffffff) vote.album = band.albums[record].title
    }
    const castAt = view.getUint32(24, true) & 1 ? String(view.getBigInt64(8, true)) : ''
    return ['admitted', vote.name, vote.album, String(view.getInt32(16, true)), String(view.getInt32(20, true)), voter, id, contest, castAt]
  }
}

const text = bytes => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)

function refusal (body) {
  const texts = []
  const view = new DataView(body.buffer)
  for (let at = 0; at < body.length;) {
    const length = view.getUint32(at, true)
    texts.push(text(body.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  const [code, field, ...values] = texts
  const pairs = []
  for (let i = 0; i < values.length; i += 2) pairs.push(values.slice(i, i + 2))
  pairs.sort(([a], [b]) => a < b ? -1 : 1)
  return ['refused', code, field, ...pairs.flat()]
}

const rules = Object.fromEntries(Object.entries(golden.contests).map(([id, contest]) => [id, new Rules(contest)]))
let wrong = 0
for (const c of golden.cases) {
  const bytes = c.hex ? Buffer.from(c.hex, 'hex') : new TextEncoder().encode(c.json ?? '')
  const got = JSON.stringify(rules[c.contest].judge(bytes, !c.lenient, c.at ?? golden.at))
  if (got !== JSON.stringify(c.want)) {
    console.error(`${c.say}: got\n${got}, want\n${JSON.stringify(c.want)}`)
    wrong++
  }
}
console.log(`${golden.cases.length} cases, ${wrong} wrong`)
process.exit(wrong > 0 ? 1 : 0)
