import { api, Problem, type Row, type State } from '~/api/client'

const rests = [500, 500, 1000, 1000, 2000, 3000, 5000, 8000, 13_000, 21_000, 34_000, 55_000] // ms, while a vote is on its way

/** What became of a vote, asked again while it is on its way. */
export function useReceipt(receipt: MaybeRefOrGetter<string>) {
  const state = ref<State | 'unknown' | null>(null) // null: not known yet
  const row = shallowRef<Row | null>(null)
  const problem = shallowRef<Problem | null>(null)
  let following: AbortController | undefined

  async function follow() {
    following?.abort()
    const { signal } = following = new AbortController()
    state.value = row.value = problem.value = null
    const asked = toValue(receipt).trim()
    if (!asked) return
    for (const rest of rests) {
      try {
        const answer = await api.receipt(asked, { signal })
        problem.value = null
        state.value = answer.state
        row.value = 'contest' in answer ? answer : null
        if (answer.state !== 'pending') return
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

  watch(() => toValue(receipt), follow)
  onMounted(follow)
  onScopeDispose(() => following?.abort())
  return { state, row, problem, follow }
}
