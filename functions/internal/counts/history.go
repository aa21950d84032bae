package counts

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/board"
)

// Second is how many votes were received in one second, by the state that they
// came to.
type Second struct {
	At    time.Time
	Votes map[events.State]int64
}

// Minute is how many counted votes were received in one minute, by band.
type Minute struct {
	At    time.Time
	Bands map[string]int64
}

// Seconds returns the seconds of from <= t < to that have votes, earliest first.
// No more than the last 3 hours are known.
func (s *Store) Seconds(ctx context.Context, c events.Contest, from, to time.Time) ([]Second, error) {
	cells, err := s.history(ctx, c, "seconds", ":", time.Minute, secondsKept, from, to)
	if err != nil {
		return nil, err
	}
	at := make(map[int64]map[events.State]int64)
	for _, cell := range cells {
		if at[cell.at] == nil {
			at[cell.at] = make(map[events.State]int64)
		}
		at[cell.at][events.State(cell.name)] += cell.votes
	}
	out := make([]Second, 0, len(at))
	for t, votes := range at {
		out = append(out, Second{time.Unix(t, 0).UTC(), votes})
	}
	sort.Slice(out, func(i, k int) bool { return out[i].At.Before(out[k].At) })
	return out, nil
}

// Minutes returns the minutes of from <= t < to that have counted votes,
// earliest first. No more than the last 48 hours are known. Spellings of one
// band are joined as in Tally, but by their votes in this time alone: fold them
// to find a band of the tally again.
func (s *Store) Minutes(ctx context.Context, c events.Contest, from, to time.Time) ([]Minute, error) {
	cells, err := s.history(ctx, c, "minutes", separator, time.Hour, minutesKept, from, to)
	if err != nil {
		return nil, err
	}
	total := make(map[string]int64)
	for _, cell := range cells {
		total[cell.name] += cell.votes
	}
	names := board.NewSpellings()
	for name, votes := range total {
		names.Add(name, votes)
	}
	at := make(map[int64]map[string]int64)
	for _, cell := range cells {
		if at[cell.at] == nil {
			at[cell.at] = make(map[string]int64)
		}
		at[cell.at][names.Of(cell.name)] += cell.votes
	}
	out := make([]Minute, 0, len(at))
	for t, bands := range at {
		out = append(out, Minute{time.Unix(t, 0).UTC(), bands})
	}
	sort.Slice(out, func(i, k int) bool { return out[i].At.Before(out[k].At) })
	return out, nil
}

// span is the keys of one kind of history that may be there: the numbers in
// their names.
type span struct{ first, last int64 }

// historySpans are those of the keys seconds:* and minutes:*, with some room for
// clocks that differ.
func historySpans(now time.Time) [2]span {
	const room = 5 * time.Minute
	at := func(t time.Time, width time.Duration) int64 { return t.Unix() / int64(width/time.Second) }
	return [2]span{
		{at(now.Add(-secondsKept-room), time.Minute), at(now.Add(room), time.Minute)},
		{at(now.Add(-minutesKept-room), time.Hour), at(now.Add(room), time.Hour)},
	}
}

// cell is one number of the history: the start of its step in Unix seconds, what
// it is of, and the votes.
type cell struct {
	at    int64
	name  string
	votes int64
}

// history reads the hashes <kind>:<n>, of which each holds 60 steps and covers
// the time each.
func (s *Store) history(ctx context.Context, c events.Contest, kind, sep string, each, kept time.Duration, from, to time.Time) ([]cell, error) {
	now := s.now()
	if oldest := now.Add(-kept); from.Before(oldest) {
		from = oldest
	}
	// A clock that runs ahead of ours may have put votes into the future.
	if latest := now.Add(each); to.After(latest) {
		to = latest
	}
	if !from.Before(to) {
		return nil, nil
	}
	width := int64(each / time.Second)
	step := width / 60
	start, end := ceilSecond(from), ceilSecond(to)
	first, last := start/width, (end-1)/width
	type source struct {
		start int64
		cmd   *redis.MapStringStringCmd
	}
	var sources []source
	pipe := s.redis.Pipeline()
	for shard := range shards(c) {
		for n := first; n <= last; n++ {
			key := base(c.ID, shard) + ":" + kind + ":" + strconv.FormatInt(n, 10)
			sources = append(sources, source{n * width, pipe.HGetAll(ctx, key)})
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", kind, c.ID, err)
	}
	var out []cell
	for _, src := range sources {
		for field, text := range src.cmd.Val() {
			number, name, _ := strings.Cut(field, sep)
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read %s of %s: field %q: %w", kind, c.ID, field, err)
			}
			votes, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read %s of %s: field %q: %w", kind, c.ID, field, err)
			}
			at := src.start + n*step
			if at >= start && at < end {
				out = append(out, cell{at, name, votes})
			}
		}
	}
	return out, nil
}

// ceilSecond is the first full second of Unix time not before t.
func ceilSecond(t time.Time) int64 { return t.Add(time.Second - 1).Unix() }
