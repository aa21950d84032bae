// Package cast is the voter's side of Marimba: it sends the votes of files
// through any of the doors of the house, again where no answer came, and adds up
// what was answered.
package cast

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"marimba/events"
)

// Bounds of sending. A part is what is sent in one request, where a door takes
// many votes at once.
const (
	maxPart    = 500
	maxInParts = 8                // parts on their way at once
	maxTries   = 30               // of a part
	maxTrying  = 2 * time.Minute  // with one part
	askTimeout = 30 * time.Second // of one try
	maxTold    = 100              // refused rows that a report names
)

// Row is a vote of a file. Its ballot has an id, so that sending it again is no
// second vote.
type Row struct {
	File   string
	Number int // in the file, from 1
	Ballot events.Ballot
}

// Outcome is what was answered for a row: nothing, which is acceptance, or a
// refusal.
type Outcome struct {
	Code   events.Code // empty: accepted
	Field  string
	Detail string // for people
}

// Door is a way into the house. It may be used by many goroutines.
type Door interface {
	// Cast sends rows of one contest and returns an outcome for each, in their
	// order. An error means that some of them may or may not have been taken, and
	// that all are to be sent again; one that wraps ErrFinal, that this is no use.
	Cast(ctx context.Context, contest string, rows []Row) ([]Outcome, error)
	Close() error
}

// ErrFinal is wrapped by errors after which sending again is no use.
var ErrFinal = errors.New("not taken here")

// Refused is a row that was refused.
type Refused struct {
	File   string      `json:"file"`
	Row    int         `json:"row"`
	Code   events.Code `json:"code"`
	Field  string      `json:"field,omitempty"`
	Detail string      `json:"detail"`
}

// Report adds up the answers.
type Report struct {
	Cast     int64                 `json:"cast"`     // rows there were
	Accepted int64                 `json:"accepted"` // answered with a promise
	Refused  int64                 `json:"refused"`  // answered with a reason
	Reasons  map[events.Code]int64 `json:"reasons"`
	Rows     []Refused             `json:"rows"`    // of the refused, the first hundred
	Retries  int64                 `json:"retries"` // parts that were sent again
	Seconds  float64               `json:"seconds"`
}

// Refuse notes a refused row.
func (r *Report) Refuse(row Refused) {
	r.Cast++
	r.Refused++
	if r.Reasons == nil {
		r.Reasons = make(map[events.Code]int64)
	}
	r.Reasons[row.Code]++
	if len(r.Rows) < maxTold {
		r.Rows = append(r.Rows, row)
	}
}

// Sender sends rows through a door.
type Sender struct {
	Door    Door
	Contest string
	Rate    float64         // votes a second; 0: as fast as they are taken
	OnPart  func(votes int) // called when a part is answered; nil: not
	OnRetry func(err error) // called before a part is sent again; nil: not
}

// Send sends rows and returns what was answered. After an error the report is of
// the rows that were answered before it; a repetition of the whole is safe.
func (s *Sender) Send(ctx context.Context, rows []Row) (Report, error) {
	began := time.Now()
	size := maxPart
	limit := rate.NewLimiter(rate.Inf, 0)
	if s.Rate > 0 {
		// A tenth of a second's votes at a time, so that a low rate is even.
		size = min(maxPart, max(1, int(s.Rate/10)))
		limit = rate.NewLimiter(rate.Limit(s.Rate), size)
	}
	var (
		mu     sync.Mutex
		report = Report{Reasons: make(map[events.Code]int64), Rows: []Refused{}}
	)
	work, working := errgroup.WithContext(ctx)
	work.SetLimit(maxInParts)
	for len(rows) > 0 {
		part := rows[:min(size, len(rows))]
		rows = rows[len(part):]
		if limit.WaitN(working, len(part)) != nil {
			break // working has ended; why is told below
		}
		work.Go(func() error {
			outcomes, retries, err := s.sendPart(working, part)
			mu.Lock()
			defer mu.Unlock()
			report.Retries += int64(retries)
			if err != nil {
				return err
			}
			report.add(part, outcomes)
			if s.OnPart != nil {
				s.OnPart(len(part))
			}
			return nil
		})
	}
	err := work.Wait()
	if err == nil {
		err = ctx.Err()
	}
	report.Seconds = time.Since(began).Seconds()
	return report, err
}

// sendPart sends a part until it is answered.
func (s *Sender) sendPart(ctx context.Context, part []Row) (outcomes []Outcome, retries int, err error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	outcomes, err = backoff.Retry(ctx, func() ([]Outcome, error) {
		try, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		outcomes, err := s.Door.Cast(try, s.Contest, part)
		switch {
		case err == nil && len(outcomes) != len(part):
			return nil, backoff.Permanent(fmt.Errorf("%w: %d answers for %d votes", ErrFinal, len(outcomes), len(part)))
		case errors.Is(err, ErrFinal):
			return nil, backoff.Permanent(err)
		}
		return outcomes, err
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(maxTrying),
		backoff.WithNotify(func(err error, _ time.Duration) {
			retries++
			if s.OnRetry != nil {
				s.OnRetry(err)
			}
		}))
	return outcomes, retries, err
}

func (r *Report) add(part []Row, outcomes []Outcome) {
	for i, o := range outcomes {
		if o.Code == "" {
			r.Cast++
			r.Accepted++
			continue
		}
		r.Refuse(Refused{File: part[i].File, Row: part[i].Number, Code: o.Code, Field: o.Field, Detail: o.Detail})
	}
}

// Add adds another report's numbers; its time is not added.
func (r *Report) Add(other Report) {
	r.Cast += other.Cast
	r.Accepted += other.Accepted
	r.Refused += other.Refused
	r.Retries += other.Retries
	if r.Reasons == nil {
		r.Reasons = make(map[events.Code]int64)
	}
	for code, n := range other.Reasons {
		r.Reasons[code] += n
	}
	r.Rows = append(r.Rows, other.Rows[:min(len(other.Rows), maxTold-len(r.Rows))]...)
}
