package counts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"marimba/events"
)

// logged is an entry as the log has it.
type logged struct {
	entry  Entry
	states []events.State
}

// played counts random boxes in a contest's counts, and returns what the log has
// of them then.
func played(t *testing.T, s *Store, c events.Contest, d dice, boxes int) []logged {
	t.Helper()
	var log []logged
	for n := range boxes {
		e := d.entry(c, n)
		log = append(log, logged{e, pass(t, s, c, e)})
	}
	return log
}

// rebuilt puts a log into the place of a contest's counts.
func rebuilt(t *testing.T, s *Store, c events.Contest, life int64, log []logged) {
	t.Helper()
	if err := s.EndLife(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	sh, err := s.Shadow(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range log {
		if err := sh.Add(t.Context(), l.entry, l.states); err != nil {
			t.Fatal(err)
		}
	}
	if err := sh.Live(t.Context(), life); err != nil {
		t.Fatal(err)
	}
}

// contentOf returns all that Redis holds of a contest, by key without the
// contest's name, as one text each; not what differs from life to life.
func contentOf(t *testing.T, s *Store, c events.Contest) map[string]string {
	t.Helper()
	ctx := t.Context()
	out := make(map[string]string)
	for _, key := range keysOf(t, s, c) {
		var lines []string
		switch kind := s.redis.Type(ctx, key).Val(); kind {
		case "string":
			lines = []string{s.redis.Get(ctx, key).Val()}
		case "hash":
			for field, value := range s.redis.HGetAll(ctx, key).Val() {
				lines = append(lines, field+"="+value)
			}
		case "set":
			lines = s.redis.SMembers(ctx, key).Val()
		case "zset":
			for _, z := range s.redis.ZRangeWithScores(ctx, key, 0, -1).Val() {
				lines = append(lines, fmt.Sprint(z.Member, "=", z.Score))
			}
		case "stream":
			for _, m := range s.redis.XRange(ctx, key, "-", "+").Val() {
				lines = append(lines, strings.ReplaceAll(fmt.Sprint(m.Values), c.ID, "*"))
			}
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
		slices.Sort(lines)
		out[strings.Replace(key, c.ID, "*", 1)] = strings.Join(lines, "\n")
	}
	for key := range out {
		if strings.HasSuffix(key, ":version") || strings.HasSuffix(key, ":life") {
			delete(out, key)
		}
	}
	return out
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for key := range maps.Keys(want) {
		if got[key] != want[key] {
			t.Errorf("%s\n got %q\nwant %q", key, got[key], want[key])
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s is %q and should not be", key, got[key])
		}
	}
}
