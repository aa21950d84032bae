package counts

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"marimba/events"
)

// buckets is how many integer sets the ids of a contest are spread over. More
// cost memory in small contests (about 100 bytes each when used), fewer make
// the sets of large ones too long for Redis to keep as sorted integers.
const buckets = 1 << 14

// mark is what Redis keeps of an id or a voter: 64 bits as a decimal integer,
// and the bucket that further bits of the same hash choose. Two marks are equal
// by chance once in 2^78.
type mark struct {
	bucket, member string
	shard          int
}

// markOf hashes text that belongs together. The kind keeps hashes of different
// things apart; U+0000 is in none of the texts but the last.
func markOf(shards int, kind, contest, text string, key []byte) mark {
	buf := make([]byte, 0, 256)
	for _, s := range [...]string{kind, contest, text} {
		buf = append(append(buf, s...), 0)
	}
	sum := sha256.Sum256(append(buf, key...))
	perShard := uint64(bucketsOf(shards))
	return mark{
		member: strconv.FormatInt(int64(binary.BigEndian.Uint64(sum[0:])), 10),
		bucket: strconv.FormatUint(binary.BigEndian.Uint64(sum[8:])%perShard, 10),
		shard:  int(binary.BigEndian.Uint64(sum[16:]) % uint64(shards)),
	}
}

// bucketsOf is how many buckets a shard has: its part only, so that a contest of
// many shards has no more, and no emptier, sets than a contest of one.
func bucketsOf(shards int) int { return max(1, buckets/shards) }

// place is where a vote is counted: its shard, the mark of its id and, if a
// limit applies to it, that of what the limit counts.
type place struct {
	shard int
	id    mark
	voter mark
}

// placeOf tells where a vote is counted. An id belongs to its contest and to
// its voter, so nobody can take another's id.
func placeOf(c events.Contest, v events.Vote) place {
	n := shards(c)
	p := place{id: markOf(n, "id", c.ID, v.ID, v.VoterKey)}
	p.shard = p.id.shard
	if len(v.VoterKey) == 0 {
		return p
	}
	// The shard is the voter's whatever the limit, so that a limit may come later.
	voter := markOf(n, "voter", c.ID, "", v.VoterKey)
	p.shard = voter.shard
	switch c.Limit.Mode {
	case events.PerContest, events.Replace:
		p.voter = voter
	case events.PerBand:
		p.voter = markOf(n, "band", c.ID, events.Fold(v.Name), v.VoterKey)
	}
	return p
}
