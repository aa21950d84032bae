package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"marimba/knative/local/real"
)

// world is all that runs: the real parts, what stands before them, and the house.
type world struct {
	folder              string
	dice                *rand.Rand
	kafka, redis, mongo *real.Part
	proxies             map[string]*proxy
	house               *house
}

// open starts the world in an empty folder. The caller must close it.
func open(ctx context.Context, bin, folder string, dice *rand.Rand) (*world, error) {
	w := &world{folder: folder, dice: dice, proxies: make(map[string]*proxy)}
	if err := w.open(ctx, bin); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) open(ctx context.Context, bin string) error {
	var err error
	if w.kafka, err = real.Kafka(ctx, filepath.Join(w.folder, "kafka")); err != nil {
		return err
	}
	if w.redis, err = real.Redis(ctx, filepath.Join(w.folder, "redis")); err != nil {
		return err
	}
	if w.mongo, err = real.FerretDB(ctx, filepath.Join(w.folder, "mongo"), filepath.Join(bin, "ferretdb")); err != nil {
		return err
	}
	for name, part := range map[string]*real.Part{"redis": w.redis, "mongo": w.mongo} {
		if w.proxies[name], err = newProxy(part.Address); err != nil {
			return fmt.Errorf("proxy of %s: %w", name, err)
		}
	}
	w.house = &house{
		bin: bin, data: filepath.Join(w.folder, "house"), log: filepath.Join(w.folder, "house.out"),
		args: []string{
			"--listen", "127.0.0.1:0", "--kafka", w.kafka.Address,
			"--redis", w.proxies["redis"].address(), "--mongo", "mongodb://" + w.proxies["mongo"].address() + "/",
		},
		env: append(os.Environ(), "REDIS_PASSWORD="+w.redis.Password, "MARIMBA_HOME="+filepath.Dir(bin)),
	}
	return w.house.start(ctx)
}

// appendOnly is the folder of Redis's AOF.
func (w *world) appendOnly() string { return filepath.Join(w.folder, "redis", "appendonlydir") }

// environment is where an audit finds the parts: past the proxies, whose moods
// are not its concern.
func (w *world) environment() []string {
	return append(os.Environ(),
		"KAFKA_BROKER="+w.kafka.Address, "REDIS_URL=redis://"+w.redis.Address, "REDIS_PASSWORD="+w.redis.Password,
		"MONGO_URL=mongodb://"+w.mongo.Address+"/")
}

func (w *world) close() error {
	if w.house != nil && w.house.gone != nil {
		w.house.stop()
	}
	for _, p := range w.proxies {
		p.close()
	}
	var errs []error
	for _, part := range []*real.Part{w.mongo, w.redis, w.kafka} {
		if part != nil {
			errs = append(errs, part.Stop(context.Background()))
		}
	}
	return errors.Join(errs...)
}
