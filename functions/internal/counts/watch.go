package counts

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/functions/internal/telemetry"
)

// watch tells how long each call takes: a command by its name, a script by its
// own, and several of them in one round trip by the first.
type watch struct{}

// scriptNames are the scripts by their hashes.
var scriptNames = map[string]string{
	countScript.hash: "count", settleScript.hash: "settle", aliveScript.hash: "alive",
	lockScript.hash: "lock", beginScript.hash: "begin", rebuildScript.hash: "rebuild",
	dropScript.hash: "drop", moveScript.hash: "move", swapScript.hash: "swap",
	chartScript.hash: "chart",
}

func (watch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		began := time.Now()
		conn, err := next(ctx, network, addr)
		telemetry.Redis("dial", time.Since(began), err)
		return conn, err
	}
}

func (watch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		began := time.Now()
		err := next(ctx, cmd)
		telemetry.Redis(operation(cmd), time.Since(began), trouble(err))
		return err
	}
}

func (watch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		began := time.Now()
		err := next(ctx, cmds)
		if len(cmds) > 0 {
			telemetry.Redis(operation(cmds[0]), time.Since(began), trouble(err))
		}
		return err
	}
}

func operation(cmd redis.Cmder) string {
	if args := cmd.Args(); len(args) > 1 {
		if hash, ok := args[1].(string); ok && cmd.Name() == "evalsha" {
			if name, ok := scriptNames[hash]; ok {
				return name
			}
		}
	}
	return cmd.Name()
}

// answers are the beginnings of errors that are answers: what our scripts say, and
// that one of them is not known yet.
var answers = []string{"LIFE", "HELD", "STALE", "LOCKED", "NOSCRIPT"}

// trouble is an error that is no answer. That something is not there is one; that
// Redis has no memory left, or reads its file, is trouble.
func trouble(err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	for _, answer := range answers {
		if redis.HasErrorPrefix(err, answer) {
			return nil
		}
	}
	return err
}
