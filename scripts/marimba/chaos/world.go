package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"marimba/knative/local/real"
	"marimba/scripts/marimba/house"
)

// world is all that runs: the real parts, what stands before them, and the house.
type world struct {
	folder  string
	dice    *rand.Rand
	parts   *house.Parts
	proxies map[string]*proxy
	house   *house.House
}

// open starts the world in an empty folder. The caller must close it.
func open(ctx context.Context, bin, folder string, dice *rand.Rand) (*world, error) {
	w := &world{folder: folder, dice: dice, proxies: make(map[string]*proxy)}
	if err := w.open(ctx, bin); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) open(ctx context.Context, bin string) error {
	var err error
	if w.parts, err = house.OpenParts(ctx, bin, w.folder); err != nil {
		return err
	}
	for name, part := range map[string]*real.Part{"redis": w.parts.Redis, "mongo": w.parts.Mongo} {
		if w.proxies[name], err = newProxy(part.Address); err != nil {
			return fmt.Errorf("proxy of %s: %w", name, err)
		}
	}
	w.house = w.parts.On(bin, w.folder, w.proxies["redis"].address(), w.proxies["mongo"].address())
	return w.house.Start(ctx)
}

// appendOnly is the folder of Redis's AOF.
func (w *world) appendOnly() string { return filepath.Join(w.folder, "redis", "appendonlydir") }

// settle audits, once nothing is on its way, past the proxies, whose moods are
// not the audit's concern. Meanwhile somebody looks at the boards: counts that
// Redis lost when no vote was to come any more are rebuilt for whoever looks.
func (w *world) settle(ctx context.Context) (house.Audited, error) {
	looking, leave := context.WithCancel(ctx)
	var spectator sync.WaitGroup
	spectator.Go(func() { w.spectate(looking) })
	defer spectator.Wait()
	defer leave()
	return house.Settle(ctx, w.house.Bin, w.parts.Environment(w.parts.Mongo.Address), w.parts.Kafka.Address)
}

// lookEvery is the time between two looks of a spectator.
const lookEvery = time.Second

// spectate looks at the boards until the context ends. What it sees is no concern of
// its own.
func (w *world) spectate(ctx context.Context) {
	client := http.Client{Timeout: lookEvery}
	for ctx.Err() == nil {
		for _, contest := range []string{openContest, limitedContest} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.house.At.Results+"/v1/contests/"+contest+"/board", nil)
			if err != nil {
				return
			}
			if resp, err := client.Do(req); err == nil {
				resp.Body.Close()
			}
		}
		pause(ctx, lookEvery)
	}
}

func (w *world) close() error {
	if w.house != nil {
		w.house.Stop()
	}
	for _, p := range w.proxies {
		p.close()
	}
	return w.parts.Close()
}
