package seal

import (
	"crypto/sha256"
	"strconv"

	"marimba/events"
)

// Opening is what a commitment commits to: a vote as it counts. It holds no time
// and no id, either of which would join it to a receipt, and no voter.
type Opening struct {
	Contest string
	Channel events.Channel
	Name    string
	Album   string
	Year    int32
	Rank    int32 // in hundredths
}

// OpeningOf returns the opening of a vote.
func OpeningOf(contest string, channel events.Channel, v *events.Vote) Opening {
	return Opening{Contest: contest, Channel: channel, Name: v.Name, Album: v.Album, Year: v.Year, Rank: v.Rank}
}

// Commit returns the secret of a vote that was cast under a receipt, and the
// commitment to it: the entry that its leaf has if it counts. Door, notary and
// results come to the same, as long as they have the same RECEIPT_SECRET and vote.
func (s *Secrets) Commit(contest string, channel events.Channel, receipt string, v *events.Vote) (Secret, Hash) {
	secret := s.Of(contest, receipt)
	return secret, OpeningOf(contest, channel, v).Commit(secret.Salt())
}

const voteLabel = "marimba.vote/v1\n"

// Text returns the bytes that are committed to: a line for each field. No field
// may hold a line break; the doors admit no control character.
func (o Opening) Text() []byte { return o.append(nil) }

func (o Opening) append(out []byte) []byte {
	out = append(out, voteLabel...)
	for _, field := range [...]string{o.Contest, string(o.Channel), o.Name, o.Album} {
		out = append(out, field...)
		out = append(out, '\n')
	}
	out = strconv.AppendInt(out, int64(o.Year), 10)
	out = append(out, '\n')
	out = strconv.AppendInt(out, int64(o.Rank), 10)
	return append(out, '\n')
}

// Commit returns the commitment to the opening: SHA-256(salt || text).
func (o Opening) Commit(salt Salt) Hash {
	var room [384]byte // more than nearly all votes take; append makes more where it must
	return sha256.Sum256(o.append(append(room[:0], salt[:]...)))
}
