// What a vote is committed to by, as package events/seal has it.
import { fromBase64, sha256, utf8, type Bytes } from './bytes'

export interface Opened { contest: string, channel: string, name: string, album: string, year: number, rank: number }

/** Reads the secret of a receipt; null if it is none. */
export function readSecret(text: string): Bytes | null {
  const bytes = /^[A-Za-z0-9_-]{22}$/.test(text) ? fromBase64(text) : null
  return bytes?.length === 16 ? bytes : null
}

/** The salt, made of the secret here: a vote that was committed to with another one is somebody else's. */
export const saltOf = async (secret: Bytes) => (await sha256(utf8('marimba.salt/v1\n'), secret)).slice(0, 16)

/** The text that is committed to; rank is in hundredths there. */
export const openingText = ({ contest, channel, name, album, year, rank }: Opened) =>
  `marimba.vote/v1\n${contest}\n${channel}\n${name}\n${album}\n${year}\n${Math.round(rank * 100)}\n`

export const commit = (salt: Uint8Array, vote: Opened) => sha256(salt, utf8(openingText(vote)))
