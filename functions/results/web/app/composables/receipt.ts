import { api, Problem, type OpenReceipt, type Receipt, type State } from '~/api/client'
import { check, type Finding } from '~/seal/check'

const rests = [500, 500, 1000, 1000, 2000, 3000, 5000, 8000, 13_000, 21_000, 34_000, 55_000] // ms, while a vote is on its way

/** The address of a receipt. Its secret is behind the #, which no browser sends. */
export const receiptPath = (receipt: string, secret?: string) => `/recibo/${encodeURIComponent(receipt)}${secret ? `#${secret}` : ''}`

const join = async (contest: string, from: number, to: number) => {
  try {
    return await api.consistency(contest, from, to)
  } catch (cause) {
    if (cause instanceof Problem) return null // it is compared another time
    throw cause
  }
}

/**
 * What became of a vote, asked again while it is on its way. With its secret also what it was for and, once it is in the
 * public log, the proof of that, checked here.
 */
export function useReceipt(receipt: MaybeRefOrGetter<string>, secret: MaybeRefOrGetter<string> = '') {
  const state = ref<State | 'unknown' | null>(null) // null: not known yet
  const answer = shallowRef<Receipt | OpenReceipt | null>(null)
  const row = computed(() => answer.value && 'name' in answer.value ? answer.value : null)
  const finding = shallowRef<Finding | null>(null)
  const locked = ref(false) // the secret is not this receipt's
  const problem = shallowRef<Problem | null>(null)
  let following: AbortController | undefined

  async function look(asked: string, given: string, signal: AbortSignal) {
    try {
      answer.value = await api.receipt(asked, { signal, secret: given || undefined })
    } catch (cause) {
      if (!(cause instanceof Problem) || cause.code !== 'secret_wrong') throw cause
      locked.value = true
      answer.value = await api.receipt(asked, { signal })
    }
    problem.value = null
    state.value = answer.value.state
    const proof = row.value?.proof
    if (row.value && proof) finding.value = await check(row.value, given, proof, join)
  }

  /** Whether there is more to come: the end of the vote, or its place in the public log. */
  const moves = () => state.value === 'pending' || !!row.value && ['counted', 'annulled'].includes(row.value.state) && !row.value.proof

  async function follow() {
    following?.abort()
    const { signal } = following = new AbortController()
    state.value = answer.value = finding.value = problem.value = null
    locked.value = false
    const asked = toValue(receipt).trim()
    const given = toValue(secret).trim()
    if (!asked) return
    for (const rest of rests) {
      try {
        await look(asked, given, signal)
        if (!moves()) return
      } catch (cause) {
        if (signal.aborted) return
        if (!(cause instanceof Problem)) throw cause
        if (cause.status === 404) state.value = 'unknown'
        else problem.value = cause
        if (!cause.passes) return
      }
      await new Promise(resolve => setTimeout(resolve, rest))
      if (signal.aborted) return
    }
  }

  watch([() => toValue(receipt), () => toValue(secret)], follow)
  onMounted(follow)
  onScopeDispose(() => following?.abort())
  return { state, answer, row, finding, locked, problem, follow }
}
