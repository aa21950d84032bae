// Package house runs all of Marimba on real parts, for those who hold it to its
// word: Apache Kafka, redis-server and a log store as processes, the house itself
// as another, and the audit of what became of the votes.
package house

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"marimba/knative/local/real"
)

// Parts are the servers behind the functions.
type Parts struct {
	Kafka, Redis *real.Part
	Mongo        *real.Part // nil: the log store is another's concern
}

// OpenParts starts Kafka, Redis and FerretDB on an empty folder; bin has the
// program of the latter, and without it there is none. The caller must Close what
// it gets, also with an error.
func OpenParts(ctx context.Context, bin, folder string) (*Parts, error) {
	p := &Parts{}
	var err error
	if p.Kafka, err = real.Kafka(ctx, filepath.Join(folder, "kafka")); err != nil {
		return p, err
	}
	if p.Redis, err = real.Redis(ctx, filepath.Join(folder, "redis")); err != nil {
		return p, err
	}
	if bin != "" {
		p.Mongo, err = real.FerretDB(ctx, filepath.Join(folder, "mongo"), filepath.Join(bin, "ferretdb"))
	}
	return p, err
}

// Environment is where an audit finds the parts; mongo is the address of the log
// store.
func (p *Parts) Environment(mongo string) []string {
	return append(os.Environ(),
		"KAFKA_BROKER="+p.Kafka.Address, "REDIS_URL=redis://"+p.Redis.Address, "REDIS_PASSWORD="+p.Redis.Password,
		"MONGO_URL=mongodb://"+mongo+"/")
}

// Close stops the parts.
func (p *Parts) Close() error {
	var errs []error
	for _, part := range []*real.Part{p.Mongo, p.Redis, p.Kafka} {
		if part != nil {
			errs = append(errs, part.Stop(context.Background()))
		}
	}
	return errors.Join(errs...)
}

// On returns a house that is not started yet, on these parts: its data in a folder,
// its Redis and its log store at these addresses.
func (p *Parts) On(bin, folder, redis, mongo string) *House {
	return &House{
		Bin: bin, Data: filepath.Join(folder, "house"), Log: filepath.Join(folder, "house.out"),
		Args: []string{
			"--listen", "127.0.0.1:0", "--kafka", p.Kafka.Address, "--redis", redis, "--mongo", "mongodb://" + mongo + "/",
		},
		Env: append(os.Environ(), "REDIS_PASSWORD="+p.Redis.Password, "MARIMBA_HOME="+filepath.Dir(bin)),
	}
}
