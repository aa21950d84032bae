package counts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/board"
)

// Histogram holds counted votes by band, album and rank in hundredths.
type Histogram = board.Histogram

// Tally returns a contest's counted votes. Spellings that fold to the same band,
// and of a band to the same album, are one: shown is the one with the most
// votes, of equal ones the first by bytes. Each shard is read at one instant.
//
// It costs Redis as much as there are distinct bands, albums and ranks; Version
// tells whether it is worth it.
func (s *Store) Tally(ctx context.Context, c events.Contest) (Histogram, error) {
	h, err := s.tally(ctx, bases(c))
	if err != nil {
		return nil, fmt.Errorf("read tally of %s: %w", c.ID, err)
	}
	return h, nil
}

func (s *Store) tally(ctx context.Context, bases []string) (Histogram, error) {
	raw, err := s.sum(ctx, bases, "tally")
	if err != nil {
		return nil, err
	}
	h := make(Histogram)
	for field, n := range raw {
		at := strings.Split(field, separator)
		if len(at) != 3 {
			return nil, fmt.Errorf("field %q", field)
		}
		rank, err := strconv.ParseInt(at[2], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", field, err)
		}
		if h[at[0]] == nil {
			h[at[0]] = make(map[string]map[int32]int64)
		}
		if h[at[0]][at[1]] == nil {
			h[at[0]][at[1]] = make(map[int32]int64)
		}
		h[at[0]][at[1]][int32(rank)] += n
	}
	return h.Folded(), nil
}

// Version returns a number that is another whenever Tally is.
func (s *Store) Version(ctx context.Context, c events.Contest) (int64, error) {
	var total int64
	for shard := range shards(c) {
		n, err := s.redis.Get(ctx, base(c.ID, shard)+":version").Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, fmt.Errorf("read version of %s: %w", c.ID, err)
		}
		total += n
	}
	return total, nil
}

// Figures says how many votes of a contest ended in which state. Dead votes are
// not known here: they are in the journal.
type Figures struct {
	Votes   map[events.Channel]map[events.State]int64
	Reasons map[events.Code]int64 // of refused votes
	// Replaced is how many counted votes a later one of the same voter took the
	// place of. The tally holds the counted votes less these.
	Replaced int64
}

// Figures returns a contest's figures. An entry is in them once it is in the
// log, so for a moment they are behind the tally; Pending tells by how much.
func (s *Store) Figures(ctx context.Context, c events.Contest) (Figures, error) {
	f, err := s.figures(ctx, bases(c))
	if err != nil {
		return Figures{}, fmt.Errorf("read figures of %s: %w", c.ID, err)
	}
	return f, nil
}

func (s *Store) figures(ctx context.Context, bases []string) (Figures, error) {
	raw, err := s.sum(ctx, bases, "figures")
	if err != nil {
		return Figures{}, err
	}
	reasons, err := s.sum(ctx, bases, "reasons")
	if err != nil {
		return Figures{}, err
	}
	f := Figures{
		Votes:   make(map[events.Channel]map[events.State]int64),
		Reasons: make(map[events.Code]int64),
	}
	for field, n := range raw {
		if field == "replaced" {
			f.Replaced = n
			continue
		}
		channel, state, _ := strings.Cut(field, ":")
		if f.Votes[events.Channel(channel)] == nil {
			f.Votes[events.Channel(channel)] = make(map[events.State]int64)
		}
		f.Votes[events.Channel(channel)][events.State(state)] = n
	}
	for code, n := range reasons {
		f.Reasons[events.Code(code)] = n
	}
	return f, nil
}

// Pending returns how many votes of a contest are decided but not settled, by
// state. It is empty when all boxes have gone their way.
func (s *Store) Pending(ctx context.Context, c events.Contest) (map[events.State]int64, error) {
	out := make(map[events.State]int64)
	for shard := range shards(c) {
		kept, err := s.redis.HGetAll(ctx, base(c.ID, shard)+":pending").Result()
		if err != nil {
			return nil, fmt.Errorf("read pending of %s: %w", c.ID, err)
		}
		for _, decision := range kept {
			_, letters, _ := strings.Cut(decision, "|")
			for i := range len(letters) {
				out[stateOf[letters[i]]]++
			}
		}
	}
	return out, nil
}

// StateOf returns what became of the vote of an id, for the voter's key that it
// was cast with (nil for none): counted or over_limit. ok is false if neither is
// known: then it was refused, is still on its way, or never was.
func (s *Store) StateOf(ctx context.Context, c events.Contest, voterKey []byte, id string) (state events.State, ok bool, err error) {
	p := placeOf(c, events.Vote{ID: id, VoterKey: voterKey})
	at := base(c.ID, p.shard)
	pipe := s.redis.Pipeline()
	counted := pipe.SIsMember(ctx, at+":ids:"+p.id.bucket, p.id.member)
	over := pipe.SIsMember(ctx, at+":over:"+p.id.bucket, p.id.member)
	if _, err := pipe.Exec(ctx); err != nil {
		return "", false, fmt.Errorf("look for vote %s: %w", id, err)
	}
	switch {
	case counted.Val():
		return events.Counted, true, nil
	case over.Val():
		return events.OverLimit, true, nil
	}
	return "", false, nil
}

// Recent is a vote as the newest ones are shown.
type Recent struct {
	Receipt string
	Contest string
	Channel events.Channel
	Vote    events.Vote // without ID and VoterKey
	State   events.State
}

// Newest returns the newest settled votes of the contests together, latest time
// of receipt first: n at most, and no more than MaxNewest.
func (s *Store) Newest(ctx context.Context, n int, contests ...events.Contest) ([]Recent, error) {
	n = min(n, MaxNewest)
	if n <= 0 {
		return nil, nil
	}
	type source struct {
		contest string
		cmd     *redis.XMessageSliceCmd
	}
	pipe := s.redis.Pipeline()
	var sources []source
	for _, c := range contests {
		for shard := range shards(c) {
			sources = append(sources, source{c.ID, pipe.XRevRangeN(ctx, base(c.ID, shard)+":newest", "+", "-", int64(n))})
		}
	}
	if len(sources) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read newest: %w", err)
	}
	var out []Recent
	for _, src := range sources {
		for _, message := range src.cmd.Val() {
			text, _ := message.Values["e"].(string)
			var b newestBox
			if err := json.Unmarshal([]byte(text), &b); err != nil {
				return nil, fmt.Errorf("read newest of %s: %w", src.contest, err)
			}
			for _, v := range b.Votes {
				out = append(out, b.recent(src.contest, v))
			}
		}
	}
	slices.SortFunc(out, func(a, b Recent) int {
		if by := b.Vote.At.Compare(a.Vote.At); by != 0 {
			return by
		}
		return strings.Compare(b.Receipt, a.Receipt)
	})
	return out[:min(n, len(out))], nil
}

func (b newestBox) recent(contest string, v newestVote) Recent {
	return Recent{
		Receipt: events.Receipt(b.ID, v.Index), Contest: contest, Channel: b.Channel, State: v.State,
		Vote: events.Vote{
			Name: v.Name, Album: v.Album, Year: v.Year, Rank: v.Rank,
			At: time.UnixMilli(v.At).UTC(), Index: v.Index, Reason: v.Reason,
		},
	}
}

// sum adds up a hash of numbers over shards.
func (s *Store) sum(ctx context.Context, bases []string, name string) (map[string]int64, error) {
	out := make(map[string]int64)
	for _, at := range bases {
		raw, err := s.redis.HGetAll(ctx, at+":"+name).Result()
		if err != nil {
			return nil, err
		}
		for field, text := range raw {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("field %q: %w", field, err)
			}
			out[field] += n
		}
	}
	return out, nil
}
