package counts

import (
	"fmt"
	"io"
	"testing"

	"github.com/redis/go-redis/v9"

	"marimba/functions/internal/counts/redistest"
)

// What Redis answers is no trouble; that it cannot do what it should is.
func TestTrouble(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "1mb")
	client := redis.NewClient(&redis.Options{Addr: server.Addr, Protocol: 2})
	defer client.Close() //nolint:errcheck // it was only asked
	ctx := t.Context()
	client.Set(ctx, "much", make([]byte, 2<<20), 0) // it is full now
	said := func(script string) error { return client.Eval(ctx, script, nil).Err() }
	for name, one := range map[string]struct {
		err  error
		want bool
	}{
		"done":                 {nil, false},
		"nothing is there":     {client.Get(ctx, "nothing").Err(), false},
		"an unknown script":    {client.EvalSha(ctx, "da39a3ee5e6b4b0d3255bfef95601890afd80709", nil).Err(), false},
		"a script's answer":    {fmt.Errorf("count: %w", said("return redis.error_reply('LIFE Redis has no counts of it')")), false},
		"no memory":            {client.Set(ctx, "more", "", 0).Err(), true},
		"a fault in a command": {said("return redis.call('HGET')"), true},
		"cut off":              {fmt.Errorf("count: %w", io.ErrUnexpectedEOF), true},
	} {
		if (one.err == nil) != (name == "done") {
			t.Errorf("%s: the error is %v", name, one.err)
		}
		if got := trouble(one.err) != nil; got != one.want {
			t.Errorf("%s (%v) is trouble: %v", name, one.err, got)
		}
	}
}
