import type { Band, Board } from '~/api/client'

/**
 * How long each band's bar is, from 0 to 1: as its figure is to the best. By the mean of positions, of which the least is
 * the best, it is the other way round.
 */
export function lengths(bands: Band[], metric: Board['standing'], positions: boolean): (band: Band) => number {
  const figures = bands.map(band => band[metric] ?? 0).filter(figure => figure > 0)
  if (metric === 'mean' && positions) {
    const least = Math.min(...figures)
    return band => band.mean ? least / band.mean : 0
  }
  const most = Math.max(...figures)
  return band => figures.length ? (band[metric] ?? 0) / most : 0
}
