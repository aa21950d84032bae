package counts

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// cutter is a connection that breaks: of the scripts that are sent together it
// lets some run, and of those that ran it may lose the answers.
type cutter struct {
	dice
	on  bool
	ran []string // beginnings of keys of the shards in which a script ran
}

var errCut = errors.New("connection cut")

func (c *cutter) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *cutter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *cutter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		run := len(cmds)
		cut := c.on && c.IntN(4) == 0
		if cut {
			run = c.IntN(len(cmds) + 1)
		}
		var err error
		if run > 0 {
			err = next(ctx, cmds[:run])
		}
		for _, cmd := range cmds[:run] {
			if name, _ := cmd.Args()[0].(string); cmd.Err() == nil && strings.HasPrefix(name, "eval") {
				c.ran = append(c.ran, cmd.Args()[3].(string))
			}
		}
		if cut {
			for _, cmd := range cmds {
				cmd.SetErr(errCut)
			}
			return errCut
		}
		return err
	}
}
