package counts

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/config"
	"marimba/events"
)

// Bounds of a conversation with Redis. A script of a full box takes some
// milliseconds; what takes longer than these is trouble, which the source
// answers by sending the box again.
const (
	dialTimeout = 3 * time.Second
	callTimeout = 10 * time.Second
	poolSize    = 32
	maxRetries  = 1
	dialTries   = 2
)

//go:embed *.lua
var sources embed.FS

var (
	countScript   = scriptOf("life", "board", "count")
	settleScript  = scriptOf("life", "board", "settle")
	aliveScript   = scriptOf("life", "alive")
	lockScript    = scriptOf("life", "lock")
	beginScript   = scriptOf("begin")
	rebuildScript = scriptOf("step", "board", "rebuild")
	dropScript    = scriptOf("step", "drop")
	moveScript    = scriptOf("step", "move")
	swapScript    = scriptOf("step", "life", "swap")
	chartScript   = scriptOf("chart")
)

// script is one that Redis runs, and what it is called by once it is known there.
type script struct{ source, hash string }

// scriptOf joins the files of a script.
func scriptOf(files ...string) script {
	var source string
	for _, file := range files {
		text, err := sources.ReadFile(file + ".lua")
		if err != nil {
			panic(err) // it is built in
		}
		source += string(text)
	}
	return script{source, redis.NewScript(source).Hash()}
}

// Store is the counts of all contests. It is safe for concurrent use.
type Store struct {
	redis redis.UniversalClient
	now   func() time.Time
}

// Open returns the counts in the Redis of cfg. It does not connect: each call
// does when it needs to, so a Redis that is away is an error of the call.
//
// cfg.URL is redis://host:port/db, rediss:// for TLS, or a list of host:port
// with commas, which is a Redis Cluster; a list too may begin with rediss://.
func Open(cfg config.Redis) (*Store, error) {
	client, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return New(client), nil
}

// New returns the counts in the Redis that client speaks to.
func New(client redis.UniversalClient) *Store {
	client.AddHook(watch{})
	return &Store{redis: client, now: time.Now}
}

// Close ends the connections.
func (s *Store) Close(context.Context) error { return s.redis.Close() }

func connect(cfg config.Redis) (redis.UniversalClient, error) {
	addr, rest, cluster := strings.Cut(cfg.URL, ",")
	if !strings.Contains(addr, "://") {
		addr = "redis://" + addr
	}
	opt, err := redis.ParseURL(addr)
	if err != nil {
		// The address may hold a password, and so may the parser's message.
		return nil, errors.New("REDIS_URL is not redis://host:port/db, rediss://host:port/db or a list of host:port")
	}
	if password := cfg.Password.Reveal(); password != "" {
		opt.Password = password
	}
	if opt.TLSConfig != nil {
		// Its ServerName is the first address: members of a cluster, which name each other by number, have a common certificate.
		opt.TLSConfig.RootCAs = cfg.TLSCA.Pool()
	}
	addrs := []string{opt.Addr}
	if cluster {
		for _, a := range strings.Split(rest, ",") {
			if a = strings.TrimSpace(a); a != "" {
				addrs = append(addrs, a)
			}
		}
	}
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 addrs,
		IsClusterMode:         cluster,
		DB:                    opt.DB,
		Username:              opt.Username,
		Password:              opt.Password,
		TLSConfig:             opt.TLSConfig,
		Protocol:              2,
		DisableIdentity:       true, // one round trip less at a start from zero
		ContextTimeoutEnabled: true,
		DialTimeout:           dialTimeout,
		DialerRetries:         dialTries,
		ReadTimeout:           callTimeout,
		WriteTimeout:          callTimeout,
		PoolTimeout:           callTimeout,
		PoolSize:              poolSize,
		MaxRetries:            maxRetries, // the scripts may run any number of times
	}), nil
}

// base is the beginning of the keys of a contest's shard. The braces are Redis
// Cluster's hash tag.
func base(contest string, shard int) string {
	return fmt.Sprintf("marimba:{%s:%d}", contest, shard)
}

func shards(c events.Contest) int { return max(1, c.Shards) }

// bases are those of all shards of a contest.
func bases(c events.Contest) []string {
	out := make([]string, shards(c))
	for shard := range out {
		out[shard] = base(c.ID, shard)
	}
	return out
}

// call is one run of a script in one shard.
type call struct {
	base string
	args []any
}

// run runs a script in several shards, in one round trip to each Redis. A
// Redis that does not know the script yet, being new or restarted, is sent its
// source.
func (s *Store) run(ctx context.Context, script script, calls []call) ([]*redis.Cmd, error) {
	cmds := make([]*redis.Cmd, len(calls))
	for _, known := range []bool{true, false} {
		pipe := s.redis.Pipeline()
		var at []int
		for i, c := range calls {
			if cmds[i] != nil && cmds[i].Err() == nil {
				continue
			}
			if known {
				cmds[i] = pipe.EvalSha(ctx, script.hash, []string{c.base}, c.args...)
			} else {
				cmds[i] = pipe.Eval(ctx, script.source, []string{c.base}, c.args...)
			}
			at = append(at, i)
		}
		_, err := pipe.Exec(ctx)
		if err == nil {
			return cmds, nil
		}
		for _, i := range at {
			if err := cmds[i].Err(); err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT") {
				return nil, told(err)
			}
		}
		if !known {
			return nil, err
		}
	}
	return cmds, nil
}

// told gives the errors that scripts reply with their names.
func told(err error) error {
	_, why, _ := strings.Cut(err.Error(), " ")
	switch {
	case redis.HasErrorPrefix(err, "LIFE"):
		return &LifeError{why}
	case redis.HasErrorPrefix(err, "HELD"):
		return ErrHeld
	case redis.HasErrorPrefix(err, "STALE"):
		return ErrStale
	case redis.HasErrorPrefix(err, "LOCKED"):
		return ErrLocked
	}
	return err
}
