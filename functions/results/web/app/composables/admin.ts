import { api, Problem } from '~/api/client'

const place = 'marimba.token'

function stored() {
  try {
    return sessionStorage.getItem(place) ?? ''
  } catch {
    return ''
  }
}

function store(token: string) {
  try {
    if (token) sessionStorage.setItem(place, token)
    else sessionStorage.removeItem(place)
  } catch {
    // it is for this visit only
  }
}

/**
 * The organiser's token. It stays in this tab, goes nowhere but to the function that serves the page, and is kept only
 * once that has taken it.
 */
export function useAdmin() {
  const token = useState('admin', stored)

  function leave() {
    token.value = ''
    store('')
  }

  /** Forgets a token that is not taken any more. */
  function heed(problem: unknown) {
    if (token.value && problem instanceof Problem && problem.status === 401) leave()
  }

  return {
    token: readonly(token),
    async enter(given: string) {
      await api.dead(given, { limit: 1 })
      token.value = given
      store(given)
    },
    leave,
    heed,
  }
}
