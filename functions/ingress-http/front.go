package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"marimba/events"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/telemetry"
	marimbav1 "marimba/proto/marimba/v1"
)

// domain is that of our codes in google.rpc.ErrorInfo.
const domain = "marimba.gt"

// votesClient is a client of ingress-grpc with its one connection, which is made
// when it is first needed.
type votesClient struct {
	marimbav1.VotesClient
	conn *grpc.ClientConn
}

func dial(target string) (*votesClient, error) {
	conn, err := grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // within the cluster
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, fmt.Errorf("open client of ingress-grpc: %w", err)
	}
	return &votesClient{marimbav1.NewVotesClient(conn), conn}, nil
}

func (c *votesClient) close(context.Context) error { return c.conn.Close() }

// front takes ballots by way of ingress-grpc. It reads them first, so that what
// travels is bounded and the same whatever the client wrote; the contest's rules
// are for ingress-grpc to ask. A vote without an id gets it here: if no answer
// comes, there is one to send it again with.
type front struct {
	votes    marimbav1.VotesClient
	language string // as Accept-Language has it
	limit    time.Duration
}

func (f front) take(ctx context.Context, reading *events.Reading, ballots []events.Ballot) ([]outcome, error) {
	out := make([]outcome, len(ballots))
	in := make([]*marimbav1.Vote, 0, len(ballots))
	at := make([]*outcome, 0, len(ballots))
	for i, b := range ballots {
		v, no := reading.Read(b)
		if no != nil {
			out[i].no = no
			continue
		}
		if v.ID == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return out, fmt.Errorf("make id: %w", err)
			}
			v.ID = id.String()
		}
		out[i].ID = v.ID
		in = append(in, message(v, b))
		at = append(at, &out[i])
	}
	if len(in) == 0 {
		return out, nil
	}
	err := f.cast(ctx, in, at)
	if err != nil { // told here: the caster is another process's
		slog.WarnContext(ctx, "votes not confirmed", "votes", len(in), "error", err)
	}
	return out, err
}

// cast sends votes to ingress-grpc, and notes what becomes of each.
func (f front) cast(ctx context.Context, in []*marimbav1.Vote, at []*outcome) error {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	if parent := telemetry.Parent(ctx); parent != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", parent)
	}
	if isHeader(f.language) {
		ctx = metadata.AppendToOutgoingContext(ctx, "accept-language", f.language)
	}
	if len(in) == 1 {
		reply, err := f.votes.Cast(ctx, in[0])
		return at[0].note(reply, status.Convert(err))
	}
	reply, err := f.votes.CastMany(ctx, &marimbav1.CastManyRequest{Votes: in})
	if err == nil && len(reply.GetResults()) != len(in) {
		err = status.Errorf(codes.Internal, "%d results of %d votes", len(reply.GetResults()), len(in))
	}
	if err != nil {
		return failure(status.Convert(err))
	}
	var failed error
	for i, result := range reply.GetResults() {
		err := at[i].note(result.GetReceipt(), status.FromProto(result.GetRefusal()))
		if failed == nil {
			failed = err
		}
	}
	return failed
}

// message is the vote of a ballot, as ingress-grpc takes it.
func message(v events.Vote, b events.Ballot) *marimbav1.Vote {
	m := &marimbav1.Vote{
		Name: v.Name, Album: v.Album, Year: strconv.Itoa(int(v.Year)), Rank: events.FormatRank(v.Rank),
		Id: v.ID, Contest: b.Contest, Voter: b.Voter,
	}
	if !v.CastAt.IsZero() {
		m.CastAt = timestamppb.New(v.CastAt)
	}
	return m
}

// note sets what became of a ballot. An error says that it is not known.
func (o *outcome) note(r *marimbav1.Receipt, s *status.Status) error {
	if r != nil {
		o.contest = r.GetContest()
		o.Receipt = publish.Receipt{ID: r.GetId(), Receipt: r.GetReceipt(), At: r.GetReceivedAt().AsTime()}
		o.far = farKeepsake(r)
		return nil
	}
	switch s.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition:
		if o.no = refusalOf(s); o.no != nil {
			o.elsewhere = true
			return nil
		}
	}
	return failure(s)
}

// failure is the error of a call that may succeed later.
func failure(s *status.Status) error {
	cause := publish.ErrUnavailable
	if no := refusalOf(s); no != nil && no.Code == events.Busy {
		cause = publish.ErrBusy
	}
	return fmt.Errorf("%w: %w: %s: %s", errInner, cause, s.Code(), s.Message())
}

// refusalOf returns the refusal that a status carries, or nil.
func refusalOf(s *status.Status) *events.Refusal {
	var no *events.Refusal
	field := ""
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				no = &events.Refusal{Code: events.Code(strings.ToLower(d.GetReason())), Params: d.GetMetadata()}
			}
		case *errdetails.BadRequest:
			for _, violation := range d.GetFieldViolations() {
				field = violation.GetField()
			}
		}
	}
	if no != nil {
		no.Field = field
	}
	return no
}

// isHeader reports whether gRPC can carry a text as metadata.
func isHeader(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxShown
}
