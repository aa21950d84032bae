package counts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
	"marimba/functions/internal/board"
)

// Bounds of the charts. Of each shard the leading readMost bands are read, so a
// chart is exact for as many; votes are spread over shards evenly, and bands
// beyond these would not be seen in a chart anyway.
const (
	readMost       = 1000
	chartBands     = 100
	chartAlbums    = 100
	standingsBands = 20
	pointEvery     = 10 * time.Second
	pointsKept     = 4320 // 12 hours in which votes come all the time
)

// ChartsKey is the set of the contests that have charts.
const ChartsKey = "marimba:charts"

// chartBase is the beginning of the keys of a contest's charts, which are in one
// slot of a Redis Cluster.
func chartBase(contest string) string { return "marimba:{" + contest + "}:chart" }

// Draw brings the charts of a contest up to its counts. Charts are a picture of
// the counts, in a form that Grafana can read and with all shards added up;
// nothing reads them back. So it may be called at any time and by any number of
// processes at once: what was drawn from later counts stays.
//
// A contest without counted votes has no charts: whoever invents contests makes
// none. pointed says whether the standings hold these counts; if not, there is a
// point of these ten seconds already, and the contest is to be drawn again later.
func (s *Store) Draw(ctx context.Context, c events.Contest) (pointed bool, err error) {
	pointed, err = s.draw(ctx, c)
	if err != nil {
		return false, fmt.Errorf("draw charts of %s: %w", c.ID, err)
	}
	return pointed, nil
}

func (s *Store) draw(ctx context.Context, c events.Contest) (pointed bool, err error) {
	// What is read behind the version is of it, or later.
	version, err := s.Version(ctx, c)
	if err != nil {
		return false, err
	}
	bands, err := s.leading(ctx, c, "bands")
	if err != nil {
		return false, err
	}
	if len(bands) == 0 {
		return true, s.erase(ctx, c)
	}
	albums, err := s.leading(ctx, c, "albums")
	if err != nil {
		return false, err
	}
	figures, err := s.Figures(ctx, c)
	if err != nil {
		return false, err
	}
	states, settled := statesOf(figures)

	args := []any{version, settled, s.now().Truncate(pointEvery).UnixMilli(), pointsKept}
	args = appendScores(args, bands, chartBands)
	args = appendScores(args, albums, chartAlbums)
	args = append(append(args, len(states)), states...)
	point := standingsOf(bands)
	args = append(append(args, len(point)), point...)
	cmds, err := s.run(ctx, chartScript, []call{{chartBase(c.ID), args}})
	if err != nil {
		return false, err
	}
	if err := s.redis.SAdd(ctx, ChartsKey, c.ID).Err(); err != nil {
		return false, err
	}
	return cmds[0].Bool()
}

// erase removes the charts of a contest whose votes are gone.
func (s *Store) erase(ctx context.Context, c events.Contest) error {
	at := chartBase(c.ID)
	if err := s.redis.Del(ctx, at+":drawn", at+":bands", at+":albums", at+":states", at+":standings").Err(); err != nil {
		return err
	}
	return s.redis.SRem(ctx, ChartsKey, c.ID).Err()
}

// score is the votes of a band, or of an album.
type score struct {
	name  string
	votes int64
}

// leading adds up what leads in each shard, most votes first. Spellings are
// joined as in Tally.
func (s *Store) leading(ctx context.Context, c events.Contest, name string) ([]score, error) {
	pipe := s.redis.Pipeline()
	var cmds []*redis.ZSliceCmd
	for _, at := range bases(c) {
		cmds = append(cmds, pipe.ZRevRangeWithScores(ctx, at+":"+name, 0, readMost-1))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	votes := make(map[string]int64)
	for _, cmd := range cmds {
		for _, z := range cmd.Val() {
			member, _ := z.Member.(string)
			votes[member] += int64(z.Score)
		}
	}
	names := board.NewSpellings()
	for name, n := range votes {
		names.Add(name, n)
	}
	joined := make(map[string]int64, len(votes))
	for name, n := range votes {
		joined[names.Of(name)] += n
	}
	out := make([]score, 0, len(joined))
	for name, n := range joined {
		out = append(out, score{name, n})
	}
	slices.SortFunc(out, func(a, b score) int { return cmp.Or(cmp.Compare(b.votes, a.votes), cmp.Compare(a.name, b.name)) })
	return out, nil
}

func appendScores(args []any, scores []score, most int) []any {
	scores = scores[:min(most, len(scores))]
	args = append(args, 2*len(scores))
	for _, sc := range scores {
		args = append(args, sc.votes, sc.name)
	}
	return args
}

// statesOf returns the votes of each state, of all channels, and their sum.
func statesOf(f Figures) (states []any, settled int64) {
	sums := map[string]int64{"replaced": f.Replaced}
	for _, byState := range f.Votes {
		for state, n := range byState {
			sums[string(state)] += n
			settled += n
		}
	}
	for state, n := range sums {
		states = append(states, state, n)
	}
	return states, settled
}

// standingsOf returns a point of the standings: the leading bands by name, so
// that points which follow one another have the same fields, and Redis keeps
// their names once.
func standingsOf(bands []score) []any {
	leading := slices.Clone(bands[:min(standingsBands, len(bands))])
	slices.SortFunc(leading, func(a, b score) int { return cmp.Compare(a.name, b.name) })
	point := make([]any, 0, 2*len(leading))
	for _, b := range leading {
		point = append(point, b.name, strconv.FormatInt(b.votes, 10))
	}
	return point
}
