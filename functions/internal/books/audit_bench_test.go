package main

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

// made is a house of a million votes that are made as they are read, so that
// what is measured is the audit's own.
type made struct {
	contest events.Contest
	boxes   int
	votes   int // of a box
}

const madeVotes = 1_000_000

func (m made) box(i int) events.Box {
	b := events.Box{ID: fmt.Sprintf("0196ccd5-7d3b-7000-8000-%012x", i), Contest: m.contest.ID, Channel: events.ByGRPC, Votes: make([]events.Vote, m.votes)}
	for k := range b.Votes {
		n := i*m.votes + k
		b.Votes[k] = events.Vote{
			ID: fmt.Sprintf("%s.%d", b.ID, k), Name: fmt.Sprintf("Banda %d", n%40), Album: fmt.Sprintf("Álbum %d", n%120), Year: 1982,
			Rank: int32(n%10) * 100, At: noon, Index: k, VoterKey: fmt.Appendf(nil, "%032d", n),
		}
	}
	return b
}

func (m made) Reach(context.Context) (kafka.Reach, error) {
	return kafka.Reach{0: {To: int64(m.boxes)}}, nil
}

func (m made) Records(_ context.Context, within kafka.Reach) iter.Seq2[castRecord, error] {
	return func(yield func(castRecord, error) bool) {
		for i := within[0].From; i < within[0].To; i++ {
			if !yield(record(m.box(int(i))), nil) {
				return
			}
		}
	}
}

func (m made) Entries(context.Context, string) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for i := range m.boxes {
			b := m.box(i)
			states := make([]events.State, len(b.Votes))
			for k := range states {
				states[k] = events.Counted
			}
			if !yield(journal.Entry{ID: b.ID + "/accepted", Box: b, States: states}, nil) {
				return
			}
		}
	}
}

func (made) Dead(context.Context, journal.ShelfState, string) iter.Seq2[journal.DeadLetter, error] {
	return func(func(journal.DeadLetter, error) bool) {}
}

func (m made) DeadList(ctx context.Context, s journal.ShelfState, c string) iter.Seq2[journal.DeadLetter, error] {
	return m.Dead(ctx, s, c)
}

func (made) Vote(context.Context, string, int) (journal.Row, bool, error) {
	return journal.Row{}, false, nil
}

func (made) Ruling(context.Context, string, int) (journal.Ruling, bool, error) {
	return journal.Ruling{}, false, nil
}

func (made) Latest(context.Context, string) (int64, error) { return 0, nil }

func (made) Life(context.Context, events.Contest) (int64, error) { return 1, nil }

// Tally is what a recount gives, so that the books balance.
func (m made) Tally(context.Context, events.Contest) (counts.Histogram, error) {
	return m.recount().Tally(), nil
}

func (m made) Figures(context.Context, events.Contest) (counts.Figures, error) {
	return m.recount().Figures(), nil
}

func (made) Pending(context.Context, events.Contest) (map[events.State]int64, error) {
	return nil, nil
}

func (m made) recount() *counts.Recount {
	all := counts.NewRecount(m.contest)
	for e := range m.Entries(context.Background(), "") {
		_ = all.Add(counts.Entry{ID: e.ID, Box: e.Box}, e.States)
	}
	return all
}

// BenchmarkAudit audits a million votes, each of a voter of its own, in full
// boxes and in boxes of one. It reports the most memory that the process held.
func BenchmarkAudit(b *testing.B) {
	for _, mode := range []events.LimitMode{events.NoLimit, events.PerBand, events.Replace} {
		for _, votes := range []int{500, 1} {
			b.Run(fmt.Sprintf("%s/boxes of %d", mode, votes), func(b *testing.B) {
				c := events.Contest{ID: "free", RankMax: 100_00, OpenRoster: true, YearMin: 1900, Limit: events.Limit{Mode: mode, N: 1}}
				m := made{contest: c, boxes: madeVotes / votes, votes: votes}
				tally, _ := m.Tally(b.Context(), c)
				figures, _ := m.Figures(b.Context(), c)
				defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
				for b.Loop() {
					debug.FreeOSMemory()
					peak := watchMemory()
					a := newAudit(rollOf{"free": c}, m, m, shown{m, tally, figures}, unsealed{}, unsealed{})
					result, err := a.run(b.Context())
					if err != nil || !result.Agree {
						b.Fatalf("%v\n%s", err, told(result))
					}
					b.ReportMetric(float64(peak())/(1<<20), "MiB")
				}
				b.ReportMetric(float64(madeVotes)*float64(b.N)/b.Elapsed().Seconds(), "votes/s")
			})
		}
	}
}

// shown is Redis, with what it says made beforehand.
type shown struct {
	made
	tally   counts.Histogram
	figures counts.Figures
}

func (s shown) Tally(context.Context, events.Contest) (counts.Histogram, error) { return s.tally, nil }

func (s shown) Figures(context.Context, events.Contest) (counts.Figures, error) {
	return s.figures, nil
}

// watchMemory returns what tells, and ends with, the most bytes that Go held
// since.
func watchMemory() func() uint64 {
	stop := make(chan struct{})
	var most uint64
	var done sync.WaitGroup
	done.Go(func() {
		sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64()-sample[1].Value.Uint64())
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() uint64 {
		close(stop)
		done.Wait()
		return most
	}
}
