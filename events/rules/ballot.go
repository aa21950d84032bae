package rules

import (
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"marimba/events"
)

// A ballot in bytes, as crate/src/ballot.rs has it: numbers of which the least
// byte is first, then texts.
const (
	atPlace      = 0  // milliseconds, 64 bits
	castAtPlace  = 8  // the same
	yearPlace    = 16 // 32 bits, as all that follow
	rankPlace    = 20
	flagsPlace   = 24
	lengthsPlace = 28 // of name, album, voter, id and contest
	ballotHead   = 48

	hasCastAt = 1 // flag
	textCount = 5
)

// Longest texts of a well-formed vote, in bytes.
const (
	maxNameBytes  = 4 * events.MaxName
	maxAlbumBytes = 4 * events.MaxAlbum
	maxKeyBytes   = 64
)

// write writes a vote to where the next call looks for it, and returns its
// length.
func (in *instance) write(v *events.Vote, name, album string) (int, error) {
	size := ballotHead + len(name) + len(album) + len(v.VoterKey)
	to, err := in.open(size)
	if err != nil {
		return 0, err
	}
	little := binary.LittleEndian
	var castAt int64
	var flags uint32
	if !v.CastAt.IsZero() {
		castAt, flags = v.CastAt.UnixMilli(), hasCastAt
	}
	little.PutUint64(to[atPlace:], uint64(v.At.UnixMilli()))
	little.PutUint64(to[castAtPlace:], uint64(castAt))
	little.PutUint32(to[yearPlace:], uint32(v.Year))
	little.PutUint32(to[rankPlace:], uint32(v.Rank))
	little.PutUint32(to[flagsPlace:], flags)
	for i, length := range [textCount]int{len(name), len(album), len(v.VoterKey), 0, 0} {
		little.PutUint32(to[lengthsPlace+4*i:], uint32(length))
	}
	rest := to[ballotHead:]
	rest = rest[copy(rest, name):]
	rest = rest[copy(rest, album):]
	copy(rest, v.VoterKey)
	return size, nil
}

// tooLong refuses a vote that is longer than a well-formed one can be: whatever
// is in a topic, a module is given no more than that.
func tooLong(v *events.Vote) *events.Refusal {
	switch {
	case len(v.Name) > maxNameBytes:
		return events.Refuse(events.TextTooLong, "name", "max", strconv.Itoa(events.MaxName))
	case len(v.Album) > maxAlbumBytes:
		return events.Refuse(events.TextTooLong, "album", "max", strconv.Itoa(events.MaxAlbum))
	case len(v.VoterKey) > maxKeyBytes:
		return events.Refuse(events.TextTooLong, "voter", "max", strconv.Itoa(events.MaxVoter))
	}
	return nil
}

// ballot returns the ballot that an answer holds. Its text is kept.
func (in *instance) ballot(a answer) (events.Ballot, error) {
	if len(a.body) < ballotHead || len(a.body) > maxAnswer {
		return events.Ballot{}, errCutShort
	}
	var room [maxBallotText]byte
	all := append(room[:0], a.body[ballotHead:]...)
	var ends [textCount + 3]int
	end := uint64(0)
	little := binary.LittleEndian
	for i := range textCount {
		end += uint64(little.Uint32(a.body[lengthsPlace+4*i:]))
		if end > uint64(len(all)) {
			return events.Ballot{}, errCutShort
		}
		ends[i] = int(end)
	}
	all = all[:end]
	all = strconv.AppendInt(all, int64(int32(little.Uint32(a.body[yearPlace:]))), 10)
	ends[5] = len(all)
	all = appendRank(all, int32(little.Uint32(a.body[rankPlace:])))
	ends[6] = len(all)
	if little.Uint32(a.body[flagsPlace:])&hasCastAt != 0 {
		all = time.UnixMilli(int64(little.Uint64(a.body[castAtPlace:]))).UTC().AppendFormat(all, time.RFC3339Nano)
	}
	ends[7] = len(all)

	whole := in.keep(all)
	var text [textCount + 3]string
	from := 0
	for i, to := range ends {
		text[i], from = whole[from:to], to
	}
	return events.Ballot{
		Name: text[0], Album: text[1], Voter: text[2], ID: text[3], Contest: text[4],
		Year: text[5], Rank: text[6], CastAt: text[7],
	}, nil
}

// keep returns a text that outlives the call. The texts of some dozens of ballots
// share a piece of memory, so that most ballots take none; it goes when the last
// of these ballots does, and they are all on their way to Kafka.
func (in *instance) keep(text []byte) string {
	if in.kept.Cap()-in.kept.Len() < len(text) {
		in.kept = strings.Builder{}
		in.kept.Grow(max(keptPiece, len(text)))
	}
	from := in.kept.Len()
	in.kept.Write(text)
	return in.kept.String()[from:]
}

// keptPiece is how much memory the texts of ballots take at a time, in bytes.
const keptPiece = 4 << 10

// maxBallotText is room for a ballot of usual length.
const maxBallotText = 512

var errCutShort = errors.New("a ballot that is cut short")

// appendRank writes hundredths as events.FormatRank does.
func appendRank(to []byte, rank int32) []byte {
	to = strconv.AppendInt(to, int64(rank/100), 10)
	switch part := rank % 100; {
	case part == 0:
		return to
	case part%10 == 0:
		return append(to, '.', byte('0'+part/10))
	default:
		return append(to, '.', byte('0'+part/10), byte('0'+part%10))
	}
}
