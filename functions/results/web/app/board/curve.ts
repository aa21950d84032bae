// Lines of a contest's history, of one value for each step of the time shown.
import type { History } from '~/api/client'

export interface Line { name: string, values: number[] }

const lengths = { second: 1000, minute: 60_000 }
const mostSteps = 10_800 // three hours of seconds

function steps(history: History): { count: number, index: (at: string) => number } {
  const length = lengths[history.step]
  const first = Math.floor(Date.parse(history.from) / length)
  const count = Math.min(mostSteps, Math.max(0, Math.ceil(Date.parse(history.to) / length) - first))
  return { count, index: at => Math.floor(Date.parse(at) / length) - first }
}

/** The votes of each second, in all states. Seconds without votes are left out by the history, and are 0 here. */
export function perSecond(history: History): Line[] {
  const { count, index } = steps(history)
  const values = new Array<number>(count).fill(0)
  for (const point of history.points) {
    const at = index(point.at)
    if (at >= 0 && at < count) values[at] = point.votes
  }
  return [{ name: '', values }]
}

/** The counted votes of some bands, added up from the beginning of the time shown. */
export function cumulative(history: History, names: string[]): Line[] {
  const { count, index } = steps(history)
  return names.map((name) => {
    const values = new Array<number>(count).fill(0)
    for (const point of history.points) {
      const at = index(point.at)
      if ('bands' in point && at >= 0 && at < count) values[at] = point.bands[name] ?? 0
    }
    for (let i = 1; i < count; i++) values[i]! += values[i - 1]!
    return { name, values }
  })
}

/** The path of a line in a box of a width and height, with the greatest value at its top. */
export function scaled({ values }: Line, most: number, width: number, height: number): string {
  const across = values.length > 1 ? width / (values.length - 1) : 0
  const points = values.map((value, i) => `${(i * across).toFixed(1)} ${(height - value / most * height).toFixed(1)}`)
  return points.length ? `M${points.join('L')}` : ''
}
