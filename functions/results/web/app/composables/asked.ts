import { Problem } from '~/api/client'

/** What a page asked for: still waited for, there, or the problem why it is not. */
export function useAsked<T>(question: (signal: AbortSignal) => Promise<T>) {
  const answer = shallowRef<T | null>(null)
  const problem = shallowRef<Problem | null>(null)
  const waiting = ref(false)
  let asking: AbortController | undefined

  async function ask() {
    asking?.abort()
    const mine = asking = new AbortController()
    waiting.value = true
    try {
      const given = await question(mine.signal)
      if (mine.signal.aborted) return
      answer.value = given
      problem.value = null
    } catch (cause) {
      if (mine.signal.aborted) return
      if (!(cause instanceof Problem)) throw cause
      problem.value = cause
    } finally {
      if (mine === asking) waiting.value = false
    }
  }

  onScopeDispose(() => asking?.abort())
  return { answer, problem, waiting, ask }
}
