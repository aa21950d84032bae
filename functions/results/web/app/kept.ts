// What the browser keeps for its user. Where it keeps nothing, as some do in private windows, the pages work without.
const prefix = 'marimba.'

export function kept<T>(name: string): T | null {
  try {
    const text = localStorage.getItem(prefix + name)
    return text === null ? null : JSON.parse(text) as T
  } catch {
    return null
  }
}

/** Keeps a value, or forgets it if it is null. */
export function keep(name: string, value: unknown) {
  try {
    if (value === null) localStorage.removeItem(prefix + name)
    else localStorage.setItem(prefix + name, JSON.stringify(value))
  } catch {
    // it is for this visit only
  }
}
