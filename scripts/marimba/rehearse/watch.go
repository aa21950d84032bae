package rehearse

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"marimba/events"
	"marimba/scripts/marimba/view"
)

// lookEvery is how often the house is looked at.
const lookEvery = time.Second

// Seen is what can be seen of a function at a moment. What is counted is counted
// since some moment before the rehearsal.
type Seen struct {
	Starts, Crashes int64
	Retries, Dead   int64     // of its source
	Sources         bool      // Retries and Dead are known
	ColdStarts      []float64 // seconds of the last starts, oldest first
	Processes       []Process
}

// Process is a process or pod of a function.
type Process struct {
	Name string
	CPU  float64 // seconds; below 0: not known
	RSS  int64   // bytes; below 0: not known
}

// Eye looks at a house's functions.
type Eye interface {
	Look(ctx context.Context) (map[string]Seen, error)
}

// Books tell how many votes are in a final state.
type Books interface {
	Balance(ctx context.Context, contest string) (view.Balance, error)
}

// Lag tells how many records each source is behind, by function.
type Lag interface {
	Lag(ctx context.Context) (map[string]int64, error)
}

// Watch looks at a house while a rehearsal goes on.
type Watch struct {
	Contest string
	Books   Books
	Eye     Eye // nil: functions are not seen
	Lag     Lag // nil: not known
	// Accepted is how many votes are answered with a promise until now.
	Accepted func() int64

	first, last map[string]Seen
	cpu         map[string]float64 // of each process when it was seen first and last
	cpuFirst    map[string]float64
	most        map[string]int
	rss         map[string]int64
	seen        Watched
}

// Watched is what was seen from the beginning to the end.
type Watched struct {
	Backlog   int64            // the most votes that were taken and not in a final state
	Lag       map[string]int64 // the most records that a source was behind; nil: not known
	Functions []Function
	Blind     string // why something was not seen, if it was not
}

// Function is what was seen of a function.
type Function struct {
	Name       string   `json:"function"`
	Starts     int64    `json:"starts"`
	ColdStart  float64  `json:"slowest_start_seconds"` // of these
	AtOnce     int      `json:"most_at_once"`
	Crashes    int64    `json:"crashes"`
	Retries    *int64   `json:"retries,omitempty"` // of its source; absent: not known
	Dead       *int64   `json:"dead,omitempty"`
	CPUSeconds *float64 `json:"cpu_seconds,omitempty"` // at least; absent: not known
	RSS        *int64   `json:"rss_bytes,omitempty"`   // the largest process's
}

// Begin looks for the first time, before the first vote.
func (w *Watch) Begin(ctx context.Context) {
	w.cpu, w.cpuFirst = map[string]float64{}, map[string]float64{}
	w.most, w.rss = map[string]int{}, map[string]int64{}
	w.look(ctx)
	w.first = w.last
	for _, s := range w.first {
		for _, p := range s.Processes {
			w.cpuFirst[p.Name] = p.CPU
		}
	}
}

// Run looks again and again until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// look looks once. What cannot be seen now may be at the next look.
func (w *Watch) look(ctx context.Context) {
	accepted := w.Accepted() // before the books: what comes in between is in no backlog
	if balance, err := w.Books.Balance(ctx, w.Contest); err == nil {
		w.seen.Backlog = max(w.seen.Backlog, accepted-balance.Final)
	} else if ctx.Err() == nil {
		w.seen.Blind = err.Error()
	}
	if w.Lag != nil {
		lag, err := w.Lag.Lag(ctx)
		if err != nil && ctx.Err() == nil {
			w.seen.Blind = err.Error()
		}
		for function, n := range lag {
			if w.seen.Lag == nil {
				w.seen.Lag = map[string]int64{}
			}
			w.seen.Lag[function] = max(w.seen.Lag[function], n)
		}
	}
	if w.Eye == nil {
		return
	}
	seen, err := w.Eye.Look(ctx)
	if err != nil {
		if ctx.Err() == nil {
			w.seen.Blind = err.Error()
		}
		return
	}
	w.last = seen
	for function, s := range seen {
		w.most[function] = max(w.most[function], len(s.Processes))
		for _, p := range s.Processes {
			w.cpu[function+" "+p.Name] = p.CPU
			w.rss[function] = max(w.rss[function], p.RSS)
		}
	}
}

// End looks for the last time and adds up.
func (w *Watch) End(ctx context.Context) Watched {
	w.look(ctx)
	out := w.seen
	for _, route := range events.Routes {
		now, ok := w.last[route.Function]
		if !ok {
			continue
		}
		before := w.first[route.Function]
		f := Function{
			Name: route.Function, Starts: now.Starts - before.Starts, Crashes: max(0, now.Crashes-before.Crashes), AtOnce: w.most[route.Function],
		}
		for _, took := range now.ColdStarts[max(0, len(now.ColdStarts)-int(f.Starts)):] {
			f.ColdStart = max(f.ColdStart, took)
		}
		if now.Sources {
			retries, dead := now.Retries-before.Retries, now.Dead-before.Dead
			f.Retries, f.Dead = &retries, &dead
		}
		if rss := w.rss[route.Function]; rss > 0 {
			f.RSS = &rss
		}
		f.CPUSeconds = w.cpuOf(route.Function)
		out.Functions = append(out.Functions, f)
	}
	return out
}

// cpuOf adds up the processes of a function. What a process used after it was
// seen last is not in it.
func (w *Watch) cpuOf(function string) *float64 {
	sum, known := 0.0, false
	for name, cpu := range w.cpu {
		process, ok := strings.CutPrefix(name, function+" ")
		if !ok || cpu < 0 {
			continue
		}
		sum += cpu - max(0, w.cpuFirst[process])
		known = true
	}
	if !known {
		return nil
	}
	sum = math.Round(sum*100) / 100
	return &sum
}

// function returns what was seen of one, if anything was.
func (w Watched) function(name string) (Function, bool) {
	i := slices.IndexFunc(w.Functions, func(f Function) bool { return f.Name == name })
	if i < 0 {
		return Function{}, false
	}
	return w.Functions[i], true
}
