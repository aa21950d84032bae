package events

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of a box.
const (
	MaxBoxVotes = 500
	MaxBoxBytes = 256 << 10
)

// Box is the unit of transport: 1 to MaxBoxVotes votes of one contest that
// came in by one channel. A box keeps its ID through every stage; the votes of
// an accepted and a refused box together are those of the box that was cast.
type Box struct {
	ID      string // UUIDv7
	Contest string
	Channel Channel
	Votes   []Vote
}

// Receipt names one vote of a box for ever: "<box id>.<index>".
func Receipt(boxID string, index int) string {
	return boxID + "." + strconv.Itoa(index)
}

// ErrBox is wrapped by every error about bytes that are not a box.
var ErrBox = errors.New("not a box")

// Field numbers of marimba.v1.Box and marimba.v1.BoxedVote. The wire form is
// written by hand so that functions that only pass boxes on need no generated
// code; a test in proto holds it against the generated code.
const (
	boxID, boxContest, boxChannel, boxAt, boxVotes = 1, 2, 3, 4, 5

	voteID, voteName, voteAlbum, voteYear, voteRank = 1, 2, 3, 4, 5
	voteKey, voteAfter, voteIndex, voteReason       = 6, 7, 8, 9
	voteField, voteCastAt                           = 10, 11
)

// Marshal returns the box as a marimba.v1.Box in protobuf's wire form. Times
// are kept to the millisecond.
func (b Box) Marshal() []byte {
	var first int64
	for i, v := range b.Votes {
		if at := v.At.UnixMilli(); i == 0 || at < first {
			first = at
		}
	}
	out := make([]byte, 0, 96+len(b.Votes)*120)
	out = appendString(out, boxID, b.ID)
	out = appendString(out, boxContest, b.Contest)
	out = appendString(out, boxChannel, string(b.Channel))
	out = appendUint(out, boxAt, uint64(first))
	var vote []byte
	for _, v := range b.Votes {
		vote = v.append(vote[:0], first)
		out = protowire.AppendTag(out, boxVotes, protowire.BytesType)
		out = protowire.AppendBytes(out, vote)
	}
	return out
}

// WireSize is an upper bound of what the vote adds to a box, in bytes.
func (v Vote) WireSize() int {
	return len(v.ID) + len(v.Name) + len(v.Album) + len(v.VoterKey) + len(v.Reason) + len(v.Field) + 64
}

func (v Vote) append(out []byte, first int64) []byte {
	out = appendString(out, voteID, v.ID)
	out = appendString(out, voteName, v.Name)
	out = appendString(out, voteAlbum, v.Album)
	out = appendUint(out, voteYear, uint64(v.Year))
	out = appendUint(out, voteRank, uint64(v.Rank))
	out = appendString(out, voteKey, string(v.VoterKey))
	out = appendUint(out, voteAfter, uint64(v.At.UnixMilli()-first))
	out = appendUint(out, voteIndex, uint64(v.Index))
	out = appendString(out, voteReason, string(v.Reason))
	out = appendString(out, voteField, v.Field)
	if !v.CastAt.IsZero() {
		out = appendUint(out, voteCastAt, uint64(v.CastAt.UnixMilli()))
	}
	return out
}

func appendString(out []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return out
	}
	out = protowire.AppendTag(out, field, protowire.BytesType)
	return protowire.AppendString(out, s)
}

func appendUint(out []byte, field protowire.Number, n uint64) []byte {
	if n == 0 {
		return out
	}
	out = protowire.AppendTag(out, field, protowire.VarintType)
	return protowire.AppendVarint(out, n)
}

// UnmarshalBox reads a box. Fields that it does not know are passed over, as
// protobuf asks. An error wraps ErrBox: such bytes will never become a box.
func UnmarshalBox(data []byte) (Box, error) {
	var b Box
	var first int64
	var raw [][]byte
	err := eachField(data, func(field protowire.Number, bytes []byte, n uint64) error {
		switch field {
		case boxID:
			b.ID = string(bytes)
		case boxContest:
			b.Contest = string(bytes)
		case boxChannel:
			b.Channel = Channel(bytes)
		case boxAt:
			first = int64(n)
		case boxVotes:
			if len(raw) == MaxBoxVotes {
				return fmt.Errorf("more than %d votes", MaxBoxVotes)
			}
			raw = append(raw, bytes)
		}
		return nil
	})
	if err != nil {
		return Box{}, fmt.Errorf("%w: %w", ErrBox, err)
	}
	b.Votes = make([]Vote, len(raw))
	for i, bytes := range raw {
		if err := b.Votes[i].unmarshal(bytes, first); err != nil {
			return Box{}, fmt.Errorf("%w: vote %d: %w", ErrBox, i, err)
		}
	}
	if err := b.check(); err != nil {
		return Box{}, fmt.Errorf("%w: %w", ErrBox, err)
	}
	return b, nil
}

func (b Box) check() error {
	switch {
	case b.ID == "" || !IsID(b.ID):
		return errors.New("id is missing or malformed")
	case !IsContestID(b.Contest):
		return errors.New("contest is missing or malformed")
	case len(b.Votes) == 0:
		return errors.New("no votes")
	}
	for i, v := range b.Votes {
		if !IsID(v.ID) {
			return fmt.Errorf("vote %d: id is missing or malformed", i)
		}
		if v.Name == "" {
			return fmt.Errorf("vote %d: name is missing", i)
		}
		if v.Rank < 0 || v.Rank > MaxRank || v.Year < 0 || v.Year > MaxYear || v.Index < 0 || v.Index >= MaxBoxVotes {
			return fmt.Errorf("vote %d: a number is out of bounds", i)
		}
	}
	return nil
}

func (v *Vote) unmarshal(data []byte, first int64) error {
	v.At = time.UnixMilli(first).UTC()
	return eachField(data, func(field protowire.Number, bytes []byte, n uint64) error {
		switch field {
		case voteID:
			v.ID = string(bytes)
		case voteName:
			v.Name = string(bytes)
		case voteAlbum:
			v.Album = string(bytes)
		case voteYear:
			v.Year = int32(min(n, MaxYear+1))
		case voteRank:
			v.Rank = int32(min(n, MaxRank+1))
		case voteKey:
			v.VoterKey = append([]byte(nil), bytes...)
		case voteAfter:
			v.At = time.UnixMilli(first + int64(n)).UTC()
		case voteIndex:
			v.Index = int(min(n, MaxBoxVotes))
		case voteReason:
			v.Reason = Code(bytes)
		case voteField:
			v.Field = string(bytes)
		case voteCastAt:
			v.CastAt = time.UnixMilli(int64(n)).UTC()
		}
		return nil
	})
}

// eachField calls visit with each field of a protobuf message: bytes for a
// length-delimited one, n for a varint. Other kinds are passed over.
func eachField(data []byte, visit func(field protowire.Number, bytes []byte, n uint64) error) error {
	for len(data) > 0 {
		field, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		var bytes []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			bytes, size = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(data)
		default:
			if size = protowire.ConsumeFieldValue(field, kind, data); size >= 0 {
				data = data[size:]
				continue
			}
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		if err := visit(field, bytes, n); err != nil {
			return err
		}
	}
	return nil
}
