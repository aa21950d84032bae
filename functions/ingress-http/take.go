package main

import (
	"context"

	"marimba/events"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
)

// taker takes ballots to Kafka, by some way.
type taker interface {
	// take answers for each ballot, in their order, when Kafka has those that are
	// admitted. After an error, ballots with neither a receipt nor a refusal may be
	// in Kafka or not; with the same ids they can be taken again.
	take(ctx context.Context, reading *events.Reading, ballots []events.Ballot) ([]outcome, error)
}

// outcome is what became of a ballot.
type outcome struct {
	no        *events.Refusal
	elsewhere bool // refused by another function, which has told of it
	contest   string
	publish.Receipt
	cast
	far keepsake // from ingress-grpc, if it cast the vote
}

// taken reports whether Kafka has the vote.
func (o outcome) taken() bool { return o.Receipt.Receipt != "" }

// direct judges ballots here and casts them.
type direct struct {
	desk    *desk.Desk
	caster  caster
	channel events.Channel
}

func (d direct) take(ctx context.Context, reading *events.Reading, ballots []events.Ballot) ([]outcome, error) {
	out := make([]outcome, len(ballots))
	var all []sheaf
	for i, b := range ballots {
		contest, v, no := d.desk.Admit(reading, b)
		if no != nil {
			out[i].no = no
			continue
		}
		s := sheafOf(&all, contest, len(ballots)-i)
		s.votes = append(s.votes, v)
		s.at = append(s.at, i)
	}
	for _, s := range all {
		receipts, err := d.caster.Cast(ctx, s.contest, d.channel, s.votes)
		if err != nil {
			for i, at := range s.at {
				out[at].ID = s.votes[i].ID
			}
			return out, err
		}
		for i, at := range s.at {
			out[at].contest, out[at].Receipt, out[at].cast = s.contest, receipts[i], cast{&s.votes[i], d.channel}
		}
	}
	return out, nil
}

// sheaf is the admitted votes of one contest, and where their ballots stood.
type sheaf struct {
	contest string
	votes   []events.Vote
	at      []int
}

// sheafOf returns the sheaf of a contest, and begins it if there is none. Nearly
// always it is the last, and most of the ballots to come are for it.
func sheafOf(all *[]sheaf, contest string, most int) *sheaf {
	for i := len(*all) - 1; i >= 0; i-- {
		if (*all)[i].contest == contest {
			return &(*all)[i]
		}
	}
	if len(*all) > 0 {
		most = 0
	}
	*all = append(*all, sheaf{contest, make([]events.Vote, 0, most), make([]int, 0, most)})
	return &(*all)[len(*all)-1]
}
