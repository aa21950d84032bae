package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// job is what a worker, a process of its own, is to do. What it is about is
// either casting votes by a path, or one of the floors.
type job struct {
	Path  string // of votes; "" for a floor
	Floor string
	IDs   string // beginning of the votes' ids

	Address string  // of the door
	Batch   int     // votes a request
	AtOnce  int     // requests, or votes on a stream, that are on their way at once
	Rate    float64 // votes a second; 0: a closed loop
	Votes   int
	Warm    int  // requests before it is measured
	Fresh   bool // a connection for each request

	Kafka, Redis, Password, Mongo string
	Watch                         bool // when votes are counted
}

// answer is what a worker did, until the last request was answered.
type answer struct {
	Accepted int64   `json:"accepted"`
	Failed   int64   `json:"failed"` // requests
	First    string  `json:"first,omitempty"`
	Seconds  float64 `json:"seconds"`
	Warmed   int64   `json:"warmed"` // votes that were accepted before
	Durable  []byte  `json:"durable,omitempty"`
	Counted  []byte  `json:"counted,omitempty"`
}

// doer does a job in two steps, of which the second is measured, and ends.
type doer interface {
	warm(ctx context.Context) (votes int64, err error)
	do(ctx context.Context) (answer, error)
	// finish is called when all votes are counted.
	finish(a *answer) error
	close() error
}

// work is the whole life of a worker. It reads a job, says "ready" when it is warm,
// begins at "go", answers when all is answered, and at "end" answers again with what
// it knows then. All are lines of JSON or a word.
func work(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	d, err := doerOf(ctx, j)
	if err != nil {
		return err
	}
	a, err := serveJob(ctx, d, lines, out)
	if err == nil {
		err = d.finish(&a)
	}
	if err == nil {
		err = json.NewEncoder(out).Encode(a)
	}
	return errors.Join(err, d.close())
}

func serveJob(ctx context.Context, d doer, in *bufio.Reader, out io.Writer) (answer, error) {
	warmed, err := d.warm(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("warm up: %w", err)
	}
	if _, err := fmt.Fprintln(out, "ready", warmed); err != nil {
		return answer{}, err
	}
	if err := await(in, "go"); err != nil {
		return answer{}, err
	}
	a, err := d.do(ctx)
	if err != nil {
		return answer{}, err
	}
	a.Warmed = warmed
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return answer{}, err
	}
	return a, await(in, "end")
}

func await(in *bufio.Reader, word string) error {
	line, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("wait for %q: %w", word, err)
	}
	if strings.TrimSpace(line) != word {
		return fmt.Errorf("wait for %q: heard %.40q", word, line)
	}
	return nil
}

func doerOf(ctx context.Context, j job) (doer, error) {
	if j.Path != "" {
		return openLoad(ctx, j)
	}
	do, ok := floors[j.Floor]
	if !ok {
		return nil, fmt.Errorf("no floor %q", j.Floor)
	}
	return &floor{j, do}, nil
}

// load casts votes by a path.
type load struct {
	job   job
	path  path
	watch *watch // nil: nobody asks when votes are counted
}

func openLoad(ctx context.Context, j job) (doer, error) {
	l := &load{job: j}
	var err error
	if l.path, err = openPath(j); err != nil {
		return nil, err
	}
	if j.Watch {
		if l.watch, err = openWatch(ctx, j.Redis, j.Password); err != nil {
			return nil, errors.Join(err, l.path.close())
		}
	}
	return l, nil
}

func (l *load) close() error {
	err := l.path.close()
	if l.watch != nil {
		err = errors.Join(err, l.watch.close())
	}
	return err
}

// warm makes the connections and wakes the functions. Its requests are numbered
// after those that are measured.
func (l *load) warm(ctx context.Context) (int64, error) {
	var votes int64
	for n := range l.job.Warm {
		accepted, _, err := l.path.cast(ctx, l.requests()+n)
		if err != nil {
			return votes, err
		}
		votes += int64(accepted)
	}
	return votes, nil
}

func (l *load) requests() int { return max(1, l.job.Votes/max(1, l.job.Batch)) }

func (l *load) do(ctx context.Context) (answer, error) {
	batch := max(1, l.job.Batch)
	pace := paceOf(l.job.AtOnce, batch, l.job.Rate)
	all := pace.run(ctx, l.requests(), func(ctx context.Context, n int, due time.Time) error {
		_, box, err := l.path.cast(ctx, n)
		if err == nil && l.watch != nil && box != "" {
			l.watch.expect(box, due)
		}
		return err
	})
	// Every request that went well had all of its votes accepted.
	a := answer{Accepted: all.latencies.TotalCount() * int64(batch), Failed: all.failed, Seconds: all.took.Seconds()}
	if all.first != nil {
		a.First = all.first.Error()
	}
	var err error
	a.Durable, err = packed(all.latencies)
	return a, err
}

func (l *load) finish(a *answer) (err error) {
	if l.watch != nil {
		a.Counted, err = packed(l.watch.latencies())
	}
	return err
}

// serveWorker is the worker's process.
func serveWorker(ctx context.Context) error { return work(ctx, os.Stdin, os.Stdout) }
