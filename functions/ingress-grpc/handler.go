package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/telemetry"
	"marimba/proto/confproto"
	marimbav1 "marimba/proto/marimba/v1"
)

// Bounds of a CastMany. Details are told for the first refusals only, so that the
// reply stays below the 4 MiB that a gRPC client takes by default; of the others
// the message tells field and code.
const (
	maxMany     = 10_000
	maxDetailed = 1_000
)

type caster interface {
	Cast(ctx context.Context, contest string, channel events.Channel, votes []events.Vote) ([]publish.Receipt, error)
}

// votes is the service marimba.v1.Votes.
type votes struct {
	marimbav1.UnimplementedVotesServer
	ctx     context.Context // of the process: streams end with it
	desk    *desk.Desk
	caster  caster
	secrets *seal.Secrets
}

// Cast takes one vote.
func (s *votes) Cast(ctx context.Context, in *marimbav1.Vote) (*marimbav1.Receipt, error) {
	receipt, no := s.cast(ctx, in)
	return receipt, no.Err()
}

// cast takes one vote, or says why not.
func (s *votes) cast(ctx context.Context, in *marimbav1.Vote) (*marimbav1.Receipt, *status.Status) {
	b := ballot(in)
	contest, v, no := s.desk.Admit(new(events.Reading), b)
	if no != nil {
		tellRefused(b, no)
		return nil, refusal(ctx, no)
	}
	one := []events.Vote{v}
	receipts, err := s.caster.Cast(ctx, contest, events.ByGRPC, one)
	if err != nil {
		telemetry.Unavailable(publish.CauseOf(ctx, err))
		return nil, unavailable(ctx, err, one[0].ID)
	}
	return s.receipt(new(answer), contest, receipts[0], &one[0]), nil
}

// CastMany takes up to maxMany votes. Votes of one contest are cast together;
// each vote has its own result.
func (s *votes) CastMany(ctx context.Context, in *marimbav1.CastManyRequest) (*marimbav1.CastManyReply, error) {
	if len(in.GetVotes()) > maxMany {
		no := events.Refuse(events.TooManyRows, "votes", "max", strconv.Itoa(maxMany))
		telemetry.Refused("", no.Code)
		return nil, refusal(ctx, no).Err()
	}
	out := &marimbav1.CastManyReply{Results: make([]*marimbav1.CastResult, len(in.GetVotes()))}
	admitted := map[string]*batch{}
	told, reading := 0, new(events.Reading)
	for i, one := range in.GetVotes() {
		ballot := ballot(one)
		contest, v, no := s.desk.Admit(reading, ballot)
		if no != nil {
			tellRefused(ballot, no)
			why := bare(no)
			if told < maxDetailed {
				why = refusal(ctx, no)
				told++
			}
			out.Results[i] = refused(why)
			continue
		}
		b := admitted[contest]
		if b == nil {
			b = new(batch)
			if len(admitted) == 0 { // nearly always all are of one contest
				b.votes, b.at = make([]events.Vote, 0, len(out.Results)-i), make([]int, 0, len(out.Results)-i)
			}
			admitted[contest] = b
		}
		b.votes = append(b.votes, v)
		b.at = append(b.at, i)
	}
	var casting sync.WaitGroup
	for contest, b := range admitted {
		casting.Go(func() { s.castBatch(ctx, contest, b, out.Results) })
	}
	casting.Wait()
	for _, result := range out.Results {
		if result.GetReceipt() != nil {
			out.Accepted++
		}
	}
	out.Refused = uint32(len(out.Results)) - out.Accepted
	return out, nil
}

// batch is the votes of one contest in a CastMany, and where each stood.
type batch struct {
	votes []events.Vote
	at    []int
}

// castBatch casts a batch, and puts its results in their places.
func (s *votes) castBatch(ctx context.Context, contest string, b *batch, results []*marimbav1.CastResult) {
	receipts, err := s.caster.Cast(ctx, contest, events.ByGRPC, b.votes)
	if err != nil {
		telemetry.Unavailable(publish.CauseOf(ctx, err))
		for i, at := range b.at {
			results[at] = refused(unavailable(ctx, err, b.votes[i].ID))
		}
		return
	}
	answers := make([]answer, len(b.at))
	for i, at := range b.at {
		to := &answers[i]
		to.outcome.Receipt = s.receipt(to, contest, receipts[i], &b.votes[i])
		to.result.Outcome = &to.outcome
		results[at] = &to.result
	}
}

// ballot takes a message as it stands. A message without a vote is an empty
// ballot, and refused as one.
func ballot(in *marimbav1.Vote) events.Ballot {
	b := events.Ballot{
		Name: in.GetName(), Album: in.GetAlbum(), Year: in.GetYear(), Rank: in.GetRank(),
		ID: in.GetId(), Contest: in.GetContest(), Voter: in.GetVoter(),
	}
	if t := in.GetCastAt(); t != nil {
		b.CastAt = t.AsTime().Format(time.RFC3339Nano)
		if !t.IsValid() {
			b.CastAt = "invalid"
		}
	}
	return b
}

// answer is what the answer for a vote is made of, in a call of its own or of many, in
// one piece of memory.
type answer struct {
	receipt    marimbav1.Receipt
	at         timestamppb.Timestamp
	secret     seal.Secret
	commitment seal.Hash
	outcome    marimbav1.CastResult_Receipt
	result     marimbav1.CastResult
}

// receipt is the answer for a vote that was cast, with what its voter needs to show
// that it is in the public log.
func (s *votes) receipt(in *answer, contest string, r publish.Receipt, v *events.Vote) *marimbav1.Receipt {
	in.secret, in.commitment = s.secrets.Commit(contest, events.ByGRPC, r.Receipt, v)
	in.at.Seconds, in.at.Nanos = r.At.Unix(), int32(r.At.Nanosecond())
	to := &in.receipt
	to.Id, to.Status, to.Contest, to.Receipt = r.ID, "accepted", contest, r.Receipt
	to.ReceivedAt, to.Secret, to.Commitment = &in.at, in.secret[:], in.commitment[:]
	return to
}

func accepted(r *marimbav1.Receipt) *marimbav1.CastResult {
	return &marimbav1.CastResult{Outcome: &marimbav1.CastResult_Receipt{Receipt: r}}
}

// getInfo is the older service, for clients that cannot change. Its answer is
// as much of a promise as that of Votes.
type getInfo struct {
	confproto.UnimplementedGetInfoServer
	votes *votes
}

// ReturnInfo takes one vote for the default contest. A reply can only hold
// text: it says the receipt, while every failure is a gRPC status as in Cast.
func (s *getInfo) ReturnInfo(ctx context.Context, in *confproto.RequestId) (*confproto.ReplyInfo, error) {
	r, err := s.votes.Cast(ctx, &marimbav1.Vote{
		Name: in.GetName(), Album: in.GetAlbum(), Year: in.GetYear(), Rank: in.GetRank(),
	})
	if err != nil {
		return nil, err
	}
	return &confproto.ReplyInfo{Info: "accepted " + r.GetReceipt()}, nil
}
