package counts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/events"
)

var (
	// ErrLife says that the counts of a contest are not known to be what the log
	// says: Redis lost them, or another process of it has them now. They are to be
	// rebuilt from the log.
	ErrLife = errors.New("counts without a life")
	// ErrHeld says that a contest is being recounted, and begins no box.
	ErrHeld = errors.New("counts are held")
	// ErrStale says that a shadow was lost with a Redis, or is another's by now.
	ErrStale = errors.New("shadow is lost")
	// ErrLocked says that somebody else has the lock of a contest.
	ErrLocked = errors.New("contest is locked")
)

// LifeError is an ErrLife, and why it is one.
type LifeError struct{ Why string }

func (e *LifeError) Error() string        { return ErrLife.Error() + ": " + e.Why }
func (e *LifeError) Is(target error) bool { return target == ErrLife }

// Life returns the number of the life that a contest's counts have. ErrLife says
// that they have none.
func (s *Store) Life(ctx context.Context, c events.Contest) (int64, error) {
	life, err := s.life(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("look for the life of %s: %w", c.ID, err)
	}
	return life, nil
}

func (s *Store) life(ctx context.Context, c events.Contest) (int64, error) {
	calls := make([]call, shards(c))
	for shard, at := range bases(c) {
		calls[shard].base = at
	}
	cmds, err := s.run(ctx, aliveScript, calls)
	if err != nil {
		return 0, err
	}
	var life int64
	for shard, cmd := range cmds {
		number, err := cmd.Int64()
		if err != nil {
			return 0, err
		}
		if shard > 0 && number != life {
			return 0, &LifeError{"its shards have different ones"}
		}
		life = number
	}
	return life, nil
}

// Hold makes a contest begin no more boxes, until its next life or for the time
// given. What is pending may be settled.
func (s *Store) Hold(ctx context.Context, c events.Contest, most time.Duration) error {
	return s.each(ctx, "hold", c, func(pipe redis.Pipeliner, at string) { pipe.Set(ctx, at+":held", 1, most) })
}

// Release ends a hold.
func (s *Store) Release(ctx context.Context, c events.Contest) error {
	return s.each(ctx, "release", c, func(pipe redis.Pipeliner, at string) { pipe.Del(ctx, at+":held") })
}

// EndLife ends the life of a contest's counts. What has been settled before is in
// the log; nothing is counted or settled until the next one.
func (s *Store) EndLife(ctx context.Context, c events.Contest) error {
	return s.each(ctx, "end the life of", c, func(pipe redis.Pipeliner, at string) { pipe.Del(ctx, at+":life") })
}

func (s *Store) each(ctx context.Context, step string, c events.Contest, do func(pipe redis.Pipeliner, base string)) error {
	pipe := s.redis.Pipeline()
	for _, at := range bases(c) {
		do(pipe, at)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("%s %s: %w", step, c.ID, err)
	}
	return nil
}

// Lock keeps all others from mending a contest. It spares work: that two who
// mend at once do no harm is for Shadow and the log's lives to see to.
type Lock struct {
	redis redis.UniversalClient
	key   string
	value string
}

// lockKept is how long a lock outlives its holder.
const lockKept = 15 * time.Second

// Lock takes the lock of a contest. ErrLocked says that another has it.
func (s *Store) Lock(ctx context.Context, c events.Contest) (*Lock, error) {
	at := base(c.ID, 0)
	cmds, err := s.run(ctx, lockScript, []call{{at, []any{freshName(), lockKept.Milliseconds()}}})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", c.ID, err)
	}
	value, err := cmds[0].Text()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", c.ID, err)
	}
	return &Lock{s.redis, at + ":mender", value}, nil
}

// Scripts that do something with a lock only if it is still the holder's.
var (
	renewScript  = redis.NewScript(`return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0`)
	unlockScript = redis.NewScript(`return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0`)
)

// Keep renews the lock until the returned function is called, which gives it
// back. The returned context ends when it was lost.
func (l *Lock) Keep(ctx context.Context) (held context.Context, unlock func()) {
	held, lost := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		renew := time.NewTicker(lockKept / 3)
		defer renew.Stop()
		for {
			select {
			case <-renew.C:
			case <-held.Done():
				return
			}
			mine, err := renewScript.Run(held, l.redis, []string{l.key}, l.value, lockKept.Milliseconds()).Bool()
			if err == nil && !mine {
				err = ErrLocked
			}
			if err != nil {
				lost(fmt.Errorf("renew the lock: %w", err))
				return
			}
		}
	}()
	return held, func() {
		lost(nil)
		<-ended
		// Whoever cannot give it back leaves it to end by itself.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		_ = unlockScript.Run(ctx, l.redis, []string{l.key}, l.value).Err()
	}
}
