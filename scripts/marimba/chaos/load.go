package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"marimba/events"
	"marimba/scripts/marimba/cast"
	"marimba/scripts/marimba/house"
)

// The contests that the load votes in: one without limits, in which each distinct
// vote must be counted, and one with limits and a roster.
const (
	openContest    = "default"
	limitedContest = "rock-gt"
)

// share of the votes that are sent a second time, under the same ids and by
// another door, and of those that are for the limited contest.
const (
	sentTwice = 0.05
	limited   = 0.1
)

// load casts votes steadily, each until it is answered.
type load struct {
	dice  *rand.Rand
	seed  uint64
	round int
	rate  int // votes a second

	distinct int64 // votes of the open contest, each once
	answered int64 // votes that were answered with a promise, repeated ones too
	refused  int64
	retries  int64
}

// rows makes the votes of a round.
func (l *load) rows(n int) (open, limits []cast.Row) {
	bands := [...]struct{ name, album, year string }{
		{"Alux Nahual", "Conquista", "1982"}, {"Bohemia Suburbana", "Sub", "2001"}, {"La Tona", "El Ojo", "1998"},
		{"Viernes Verde", "P.M.", "2017"}, {"Malacates Trébol Shop", "Paquetecuetes", "1999"},
	}
	for i := range n {
		band := bands[l.dice.IntN(len(bands))]
		row := cast.Row{File: "load", Number: i + 1, Ballot: events.Ballot{
			Name: band.name, Album: band.album, Year: band.year, Rank: fmt.Sprint(1 + l.dice.IntN(10)),
			ID: fmt.Sprintf("c%d-%d-%d", l.seed, l.round, i),
		}}
		if l.dice.Float64() < limited {
			// 7 votes for each voter on average, of whom 5 may count.
			row.Ballot.Voter = fmt.Sprintf("v%d-%d-%d", l.seed, l.round, l.dice.IntN(1+n/70))
			limits = append(limits, row)
			continue
		}
		open = append(open, row)
	}
	l.distinct += int64(len(open))
	return open, limits
}

// run casts the votes of one round, for as long as the rate makes it last, while
// trouble is made. It returns when each is answered.
func (l *load) run(ctx context.Context, at house.Addresses, length time.Duration) error {
	open, limits := l.rows(int(float64(l.rate) * length.Seconds()))
	again := open[:int(float64(len(open))*sentTwice)]
	third := len(open) / 3
	parts := []struct {
		via, contest string
		rows         []cast.Row
	}{
		{"http", openContest, open[:third]},
		{"grpc", openContest, open[third : 2*third]},
		{"stream", openContest, open[2*third:]},
		{"grpc", limitedContest, limits},
		{"stream", openContest, again},
	}
	reports := make([]cast.Report, len(parts))
	work, ctx := errgroup.WithContext(ctx)
	for i, p := range parts {
		work.Go(func() error {
			door, err := doorOf(at, p.via)
			if err != nil {
				return err
			}
			defer door.Close() //nolint:errcheck // all is answered
			sender := cast.Sender{Door: door, Contest: p.contest, Rate: max(1, float64(len(p.rows))/length.Seconds())}
			reports[i], err = sender.Send(ctx, p.rows)
			return err
		})
	}
	err := work.Wait()
	for _, r := range reports {
		l.answered += r.Accepted
		l.refused += r.Refused
		l.retries += r.Retries
	}
	return err
}

func doorOf(at house.Addresses, via string) (cast.Door, error) {
	if via == "http" {
		return cast.HTTP(at.HTTP, "en", false)
	}
	return cast.GRPC(at.GRPC, "en", via == "stream")
}
