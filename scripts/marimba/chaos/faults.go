package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"marimba/knative/local/real"
	"marimba/scripts/marimba/house"
)

// trouble is a fault that is made while votes are cast. It is over when make
// returns: whatever was taken away is there again. What it did is for the report.
type trouble struct {
	name string
	make func(ctx context.Context, w *world) (did string, err error)
}

// troubles are all faults. The seed chooses among them; each comes once before
// any comes again.
var troubles = []trouble{
	{"kill -9 of one function", killOne},
	{"kill -9 of several functions", killSeveral},
	{"kill -9 of notary, again and again", killNotary},
	{"kill -9 of gateway, dispatchers and all functions", killHouse},
	{"redis: kill -9, restart on its AOF", func(ctx context.Context, w *world) (string, error) { return killPart(ctx, w, w.parts.Redis) }},
	{"redis: back to an older AOF", rollBack},
	{"redis: back with an empty disk", emptyDisk},
	{"mongo: kill -9, restart", func(ctx context.Context, w *world) (string, error) { return killPart(ctx, w, w.parts.Mongo) }},
	{"kafka: kill -9, restart", func(ctx context.Context, w *world) (string, error) { return killPart(ctx, w, w.parts.Kafka) }},
	{"kafka: silent for some seconds", silence},
	{"redis: each answer 2 s late", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "redis", slow) }},
	{"mongo: each answer 2 s late", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "mongo", slow) }},
	{"redis: refuses", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "redis", refuses) }},
	{"mongo: refuses", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "mongo", refuses) }},
	{"redis: answers nonsense", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "redis", garbles) }},
	{"mongo: answers nonsense", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "mongo", garbles) }},
	{"redis: cut in the middle of a message", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "redis", cutsHalf) }},
	{"mongo: cut in the middle of a message", func(ctx context.Context, w *world) (string, error) { return sulk(ctx, w, "mongo", cutsHalf) }},
	{"every event of the last moments delivered again", redeliver},
}

// draw puts the troubles of all rounds in order, of those that a pattern matches.
func draw(dice *rand.Rand, rounds int, only *regexp.Regexp) ([]trouble, error) {
	among := slices.DeleteFunc(slices.Clone(troubles), func(t trouble) bool { return !only.MatchString(t.name) })
	if len(among) == 0 {
		return nil, fmt.Errorf("--only: no trouble's name matches %q", only)
	}
	var order []trouble
	for len(order) < rounds {
		for _, i := range dice.Perm(len(among)) {
			order = append(order, among[i])
		}
	}
	return order[:rounds], nil
}

func killOne(ctx context.Context, w *world) (string, error) { return killFunctions(ctx, w, 1) }

func killSeveral(ctx context.Context, w *world) (string, error) {
	return killFunctions(ctx, w, 2+w.dice.IntN(3))
}

// notaryKilled is how often notary is killed, each time in another step of a batch.
const notaryKilled = 5

func killNotary(ctx context.Context, w *world) (string, error) {
	killed := 0
	for range notaryKilled {
		killed += kill("notary", w.house.Functions()["notary"])
		pause(ctx, w.moment()/2)
	}
	return fmt.Sprintf("%d times", killed), nil
}

func killFunctions(_ context.Context, w *world, most int) (string, error) {
	running := w.house.Functions()
	names := make([]string, 0, len(running))
	for name := range running {
		names = append(names, name)
	}
	slices.Sort(names)
	w.dice.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
	names = names[:min(most, len(names))]
	for _, name := range names {
		kill(name, running[name])
	}
	return strings.Join(names, ", "), nil
}

// kill kills processes of a function, and returns how many.
func kill(name string, pids []int) (killed int) {
	for _, pid := range pids {
		if house.Program(pid) == name && syscall.Kill(pid, syscall.SIGKILL) == nil { // it may have ended, and its number be another's
			killed++
		}
	}
	return killed
}

func killHouse(ctx context.Context, w *world) (string, error) {
	w.house.Kill()
	return "", w.house.Start(ctx)
}

func killPart(ctx context.Context, w *world, part *real.Part) (string, error) {
	part.Kill()
	pause(ctx, w.moment())
	return "", part.Start(ctx)
}

// rollBack puts Redis back to what its disk held a moment ago, as a machine that
// lost power would find it.
func rollBack(ctx context.Context, w *world) (string, error) {
	kept := filepath.Join(w.folder, "redis-before")
	if err := os.RemoveAll(kept); err != nil {
		return "", err
	}
	if err := os.CopyFS(kept, os.DirFS(w.appendOnly())); err != nil {
		return "", fmt.Errorf("keep the AOF: %w", err)
	}
	lost := w.moment()
	pause(ctx, lost)
	w.parts.Redis.Kill()
	if err := os.RemoveAll(w.appendOnly()); err != nil {
		return "", err
	}
	if err := os.CopyFS(w.appendOnly(), os.DirFS(kept)); err != nil {
		return "", fmt.Errorf("put the AOF back: %w", err)
	}
	return fmt.Sprintf("%d ms lost", lost.Milliseconds()), w.parts.Redis.Start(ctx)
}

func emptyDisk(ctx context.Context, w *world) (string, error) {
	w.parts.Redis.Kill()
	if err := os.RemoveAll(w.appendOnly()); err != nil {
		return "", err
	}
	return "", w.parts.Redis.Start(ctx)
}

// silence stops Kafka's process, so that it neither answers nor hangs up.
func silence(ctx context.Context, w *world) (string, error) {
	pid := w.parts.Kafka.PID()
	if pid == 0 {
		return "", errors.New("kafka does not run")
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return "", err
	}
	length := 2 * w.moment()
	pause(ctx, length)
	return fmt.Sprintf("%d ms", length.Milliseconds()), syscall.Kill(pid, syscall.SIGCONT)
}

func sulk(ctx context.Context, w *world, store string, m mood) (string, error) {
	p := w.proxies[store]
	p.set(m)
	length := w.moment()
	if m == slow {
		length += slowness
	}
	pause(ctx, length)
	p.set(passes)
	if m == slow {
		p.cut() // what waits would go on waiting
	}
	return fmt.Sprintf("%d ms", length.Milliseconds()), nil
}

// redeliver stops the house, puts the sources' groups back, and starts it again:
// what they had done comes once more.
func redeliver(ctx context.Context, w *world) (string, error) {
	pause(ctx, w.moment())
	w.house.Stop()
	n, err := rewind(ctx, w.parts.Kafka.Address)
	if err != nil {
		return "", fmt.Errorf("put the groups back: %w", err)
	}
	return fmt.Sprintf("%d events", n), w.house.Start(ctx)
}

// moment is the length of a trouble: half a second to three.
func (w *world) moment() time.Duration {
	return 500*time.Millisecond + time.Duration(w.dice.Int64N(int64(2500*time.Millisecond)))
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
