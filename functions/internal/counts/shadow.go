package counts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
)

// Bounds of a step of a shadow: Redis does nothing else while it takes one, some
// milliseconds.
const (
	votesAtOnce   = 1000
	figuresAtOnce = 4000
	keysAtOnce    = 2000
)

// Shadow is a second set of a contest's counts, beside the living ones. The log
// is added to it, and then it takes their place. It is one mender's: as soon as
// another begins one of the same contest, or Redis lost something of it, each
// call answers ErrStale.
//
// It is not safe for concurrent use.
type Shadow struct {
	store   *Store
	contest events.Contest
	token   string
	shards  []*shade
}

// shade is what is collected of one shard, to be sent in one step.
type shade struct {
	base    string
	step    int
	votes   []any
	ids     []string // of votes, to be named in an error
	fields  []any
	numbers map[string]int // of the fields, from 1
	figures increments
	moves   map[string]bool // ends of the keys of buckets that are there
	newest  []newestPart    // the newest, oldest first
}

// newestPart is a part of a box that may be among the newest.
type newestPart struct {
	at   time.Time
	text string
}

// Shadow begins an empty shadow of a contest's counts. One that somebody else
// left there is cleared away.
func (s *Store) Shadow(ctx context.Context, c events.Contest) (*Shadow, error) {
	sh := &Shadow{store: s, contest: c, token: freshName()}
	calls := make([]call, 0, shards(c))
	for _, at := range bases(c) {
		one := &shade{base: at}
		one.begin()
		sh.shards = append(sh.shards, one)
		calls = append(calls, call{at, []any{sh.token}})
	}
	cmds, err := s.run(ctx, beginScript, calls)
	if err != nil {
		return nil, fmt.Errorf("begin shadow of %s: %w", c.ID, err)
	}
	for i, cmd := range cmds {
		there, err := cmd.Bool()
		if err != nil {
			return nil, fmt.Errorf("begin shadow of %s: %w", c.ID, err)
		}
		if !there {
			continue
		}
		if err := sh.clear(ctx, sh.shards[i]); err != nil {
			return nil, fmt.Errorf("clear old shadow of %s: %w", c.ID, err)
		}
	}
	return sh, nil
}

// begin forgets what was collected.
func (one *shade) begin() {
	*one = shade{
		base: one.base, step: one.step,
		numbers: make(map[string]int), figures: make(increments), moves: make(map[string]bool),
	}
}

// Discard clears the shadow away, unless it is another's by now.
func (sh *Shadow) Discard(ctx context.Context) error {
	for _, one := range sh.shards {
		if err := sh.clear(ctx, one); err != nil {
			return fmt.Errorf("discard shadow of %s: %w", sh.contest.ID, err)
		}
	}
	return nil
}

func (sh *Shadow) clear(ctx context.Context, one *shade) error {
	ends := append(sh.keys(), ":history")
	for i := range ends {
		ends[i] = ":next" + ends[i]
	}
	if err := sh.move(ctx, one, nil, ends); err != nil {
		return err
	}
	one.begin()
	return nil
}

// Add adds an entry of the log, with the states that the log holds. Entries may
// come in any order, each once.
func (sh *Shadow) Add(ctx context.Context, e Entry, states []events.State) error {
	if len(states) != len(e.Box.Votes) {
		return fmt.Errorf("add %s: %d states for %d votes", e.ID, len(states), len(e.Box.Votes))
	}
	parts := split(sh.contest, e)
	for _, p := range parts {
		one := sh.shards[p.shard]
		sh.collect(one, e, p, states)
		if err := one.note(e.Box, p, states); err != nil {
			return fmt.Errorf("add %s: %w", e.ID, err)
		}
	}
	return sh.flush(ctx, votesAtOnce, figuresAtOnce)
}

// Flush sends what was added.
func (sh *Shadow) Flush(ctx context.Context) error { return sh.flush(ctx, 1, 1) }

func (sh *Shadow) collect(one *shade, e Entry, p part, states []events.State) {
	voters := ":voters:"
	if sh.contest.Limit.Mode == events.Replace {
		voters = ":latest:"
	}
	for k, i := range p.votes {
		v, at := &e.Box.Votes[i], p.places[k]
		letter, event := string(letterOf[states[i]]), ""
		switch states[i] {
		case events.Counted:
			one.moves[":ids:"+at.id.bucket] = true
		case events.OverLimit:
			one.moves[":over:"+at.id.bucket] = true
		case events.Duplicate:
			event = e.ID
		default:
			continue // of a refused vote there are figures only
		}
		field := fieldOf(v)
		n, ok := one.numbers[field]
		if !ok {
			one.fields = append(one.fields, field)
			n = len(one.fields)
			one.numbers[field] = n
		}
		one.votes = append(one.votes, letter, at.id.bucket, at.id.member, n,
			at.voter.bucket, at.voter.member, v.At.UnixMilli(), event)
		one.ids = append(one.ids, v.ID)
		if states[i] == events.Counted && at.voter.bucket != "" {
			one.moves[voters+at.voter.bucket] = true
		}
	}
	for at, n := range sh.store.figuresOf(e.Box, p, states) {
		one.figures[at] += n
	}
}

// note keeps a part of a box while it is among the newest.
func (one *shade) note(b events.Box, p part, states []events.State) error {
	var at time.Time
	for _, i := range p.votes {
		if v := b.Votes[i].At; v.After(at) {
			at = v
		}
	}
	place, _ := slices.BinarySearchFunc(one.newest, at, func(p newestPart, at time.Time) int { return p.at.Compare(at) })
	if len(one.newest) == MaxNewest {
		if place == 0 {
			return nil
		}
		one.newest = slices.Delete(one.newest, 0, 1)
		place--
	}
	text, err := newestOf(b, p, states)
	if err != nil {
		return err
	}
	one.newest = slices.Insert(one.newest, place, newestPart{at, text})
	return nil
}

// flush sends the shards of which so much was collected.
func (sh *Shadow) flush(ctx context.Context, votes, figures int) error {
	for _, one := range sh.shards {
		if len(one.ids) < votes && len(one.figures) < figures {
			continue
		}
		args := append([]any{modeOf(sh.contest), len(one.fields)}, one.fields...)
		args = append(args, 4*len(one.figures))
		args = append(one.figures.appendTo(args), one.votes...)
		cmd, err := sh.step(ctx, one, rebuildScript, args)
		if err != nil && redis.HasErrorPrefix(err, "OOM") {
			if err := sh.makeRoom(ctx); err != nil {
				return fmt.Errorf("make room for the shadow of %s: %w", sh.contest.ID, err)
			}
			cmd, err = sh.step(ctx, one, rebuildScript, args)
		}
		if err != nil {
			return fmt.Errorf("add to the shadow of %s: %w", sh.contest.ID, err)
		}
		twice, err := cmd.Int()
		if err != nil {
			return fmt.Errorf("add to the shadow of %s: %w", sh.contest.ID, err)
		}
		if twice > 0 {
			return fmt.Errorf("the log of %s counts vote %q twice", sh.contest.ID, one.ids[twice-1])
		}
		one.votes, one.ids, one.fields = one.votes[:0], one.ids[:0], one.fields[:0]
		clear(one.numbers)
		clear(one.figures)
	}
	return nil
}

// step runs a script of the shadow in one shard, as its next step.
func (sh *Shadow) step(ctx context.Context, one *shade, s script, args []any) (*redis.Cmd, error) {
	args = append([]any{sh.token, one.step + 1}, args...)
	cmds, err := sh.store.run(ctx, s, []call{{one.base, args}})
	if err != nil {
		return nil, err
	}
	one.step++
	return cmds[0], nil
}

// makeRoom deletes the counts whose place the shadow is to take, for a Redis that
// has no room for both. It does so only if they have no life.
func (sh *Shadow) makeRoom(ctx context.Context) error {
	ends := append(sh.keys(), ":pending", ":newest")
	for some := range slices.Chunk(ends, keysAtOnce) {
		args := []any{sh.token}
		for _, end := range some {
			args = append(args, end)
		}
		calls := make([]call, len(sh.shards))
		for i, one := range sh.shards {
			calls[i] = call{one.base, args}
		}
		if _, err := sh.store.run(ctx, dropScript, calls); err != nil {
			return err
		}
	}
	return nil
}

// move moves keys of the shadow to the living ones, and deletes others, by their
// ends.
func (sh *Shadow) move(ctx context.Context, one *shade, moves, deletes []string) error {
	for len(moves)+len(deletes) > 0 {
		n := min(len(moves), keysAtOnce)
		m := min(len(deletes), keysAtOnce-n)
		args := make([]any, 0, 1+n+m)
		args = append(args, n)
		for _, end := range append(moves[:n:n], deletes[:m]...) {
			args = append(args, end)
		}
		if _, err := sh.step(ctx, one, moveScript, args); err != nil {
			return err
		}
		moves, deletes = moves[n:], deletes[m:]
	}
	return nil
}

// Tally returns what Store.Tally will when the shadow lives.
func (sh *Shadow) Tally(ctx context.Context) (Histogram, error) {
	h, err := sh.store.tally(ctx, sh.bases())
	if err != nil {
		return nil, fmt.Errorf("read the shadow's tally of %s: %w", sh.contest.ID, err)
	}
	return h, nil
}

// Figures returns what Store.Figures will when the shadow lives.
func (sh *Shadow) Figures(ctx context.Context) (Figures, error) {
	f, err := sh.store.figures(ctx, sh.bases())
	if err != nil {
		return Figures{}, fmt.Errorf("read the shadow's figures of %s: %w", sh.contest.ID, err)
	}
	return f, nil
}

func (sh *Shadow) bases() []string {
	out := make([]string, len(sh.shards))
	for i, one := range sh.shards {
		out[i] = one.base + ":next"
	}
	return out
}

// Live puts the shadow in the place of the living counts and gives them a life.
// Their own life must have ended. The number must be one that nobody else gives:
// the log sees to it. If it breaks off, they have none.
func (sh *Shadow) Live(ctx context.Context, life int64) error {
	if err := sh.Flush(ctx); err != nil {
		return err
	}
	if err := sh.live(ctx, life); err != nil {
		return fmt.Errorf("swap %s: %w", sh.contest.ID, err)
	}
	return nil
}

func (sh *Shadow) live(ctx context.Context, life int64) error {
	empty, err := sh.empty(ctx)
	if err != nil {
		return err
	}
	calls := make([]call, len(sh.shards))
	now := sh.store.now()
	for i, one := range sh.shards {
		var moves, deletes []string
		for end := range one.moves {
			moves = append(moves, end)
		}
		if !empty[i] {
			deletes = slices.DeleteFunc(sh.bucketKeys(), func(end string) bool { return one.moves[end] })
		}
		if err := sh.move(ctx, one, moves, deletes); err != nil {
			return err
		}
		args := []any{sh.token, one.step, life, now.UnixMicro()}
		for _, span := range historySpans(now) {
			args = append(args, span.first, span.last)
		}
		for _, part := range one.newest {
			args = append(args, part.text)
		}
		calls[i] = call{one.base, args}
	}
	_, err = sh.store.run(ctx, swapScript, calls)
	return err
}

// empty tells of each shard whether there are no living counts at all. Each
// change of them leaves one of these keys.
func (sh *Shadow) empty(ctx context.Context) ([]bool, error) {
	pipe := sh.store.redis.Pipeline()
	cmds := make([]*redis.IntCmd, len(sh.shards))
	for i, one := range sh.shards {
		cmds[i] = pipe.Exists(ctx, one.base+":version", one.base+":pending", one.base+":figures", one.base+":tally")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	out := make([]bool, len(sh.shards))
	for i, cmd := range cmds {
		out[i] = cmd.Val() == 0
	}
	return out, nil
}

// keys returns the ends of all keys that counts may have in a shard, but for
// those of boxes on their way.
func (sh *Shadow) keys() []string {
	out := append(sh.bucketKeys(), ":tally", ":bands", ":albums", ":figures", ":reasons", ":limited", ":owed", ":version")
	for i, span := range historySpans(sh.store.now()) {
		kind := [...]string{":seconds:", ":minutes:"}[i]
		for at := span.first; at <= span.last; at++ {
			out = append(out, kind+strconv.FormatInt(at, 10))
		}
	}
	return out
}

// bucketKeys returns the ends of the keys of all buckets that a shard may have.
func (sh *Shadow) bucketKeys() []string {
	perShard := bucketsOf(len(sh.shards))
	out := make([]string, 0, 4*perShard)
	for _, kind := range [...]string{":ids:", ":over:", ":voters:", ":latest:"} {
		for bucket := range perShard {
			out = append(out, kind+strconv.Itoa(bucket))
		}
	}
	return out
}
