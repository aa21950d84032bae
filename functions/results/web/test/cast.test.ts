import { expect, test } from 'vitest'
import { Problem } from '~/api/client'
import { cast, mostTries, type Receipt, type World } from '~/ballot/cast'

const vote = { id: 'one', name: 'Alux Nahual', album: 'Conquista', year: '1982', rank: '1' }
const receipt: Receipt = { id: 'one', contest: 'rock-gt', receipt: 'box.0', received_at: '2026-11-25T18:00:00Z' }
const busy = (retryAfter = 0) => new Problem(503, 'busy', 'busy', '', {}, retryAfter)

/** A world in which sending goes as the answers say, and resting takes no time. */
function world(answers: (Problem | Receipt)[], more: Partial<World> = {}) {
  const sent: string[] = []
  const rests: number[] = []
  const made: World = {
    async send(contest, { id }) {
      sent.push(`${contest}/${id}`)
      const answer = answers.shift()
      if (!answer || answer instanceof Problem) throw answer ?? busy()
      return answer
    },
    online: async () => {},
    connected: () => true,
    rest: async (ms) => { rests.push(ms) },
    now: () => 0,
    chance: () => 0,
    ...more,
  }
  return { made, sent, rests }
}

async function steps(made: World, signal = new AbortController().signal) {
  const seen = []
  for await (const step of cast('rock-gt', vote, signal, made)) seen.push(step.step)
  return seen
}

test('a vote is sent again with the same id until it is received', async () => {
  const { made, sent, rests } = world([new Problem(0, 'unreached', ''), busy(7), receipt])
  expect(await steps(made)).toEqual(['sending', 'waiting', 'sending', 'waiting', 'sending', 'done'])
  expect(sent).toEqual(Array(3).fill('rock-gt/one'))
  expect(rests).toEqual([1000, 7000]) // the second as the door asked
})

test('a refusal is not sent again', async () => {
  const { made, sent } = world([new Problem(422, 'band_unknown', '', 'name')])
  expect(await steps(made)).toEqual(['sending', 'refused'])
  expect(sent).toHaveLength(1)
})

test('trying ends, with a word, and rests grow no longer than they may', async () => {
  const { made, sent, rests } = world([])
  expect((await steps(made)).at(-1)).toBe('stuck')
  expect(sent).toHaveLength(mostTries)
  expect(Math.max(...rests)).toBe(30_000)
})

test('without a connection nothing is sent before there is one', async () => {
  let connected = false
  const { made, sent } = world([receipt], {
    connected: () => connected,
    online: async () => { connected = true },
  })
  expect(await steps(made)).toEqual(['offline', 'sending', 'done'])
  expect(sent).toHaveLength(1)
})

test('leaving ends it', async () => {
  const leaving = new AbortController()
  const { made, sent } = world([busy(), receipt], { rest: async () => leaving.abort() })
  expect(await steps(made, leaving.signal)).toEqual(['sending', 'waiting'])
  expect(sent).toHaveLength(1)
})
