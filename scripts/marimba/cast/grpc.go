package cast

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"marimba/events"
	marimbav1 "marimba/proto/marimba/v1"
)

// GRPC opens the gRPC door at an address: host:port, or http://host:port for the
// same without TLS, or https://host:port with it. With stream, votes go over
// CastStream, else over CastMany.
func GRPC(address, language string, stream bool) (Door, error) {
	scheme, host, ok := strings.Cut(address, "://")
	if !ok {
		scheme, host = "http", address
	}
	host = strings.TrimSuffix(host, "/")
	secure := insecure.NewCredentials()
	if scheme == "https" {
		secure = credentials.NewClientTLSFromCert(nil, "")
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		return nil, fmt.Errorf("address of the gRPC door: %w", err)
	}
	conn, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(secure))
	if err != nil {
		return nil, fmt.Errorf("open gRPC door: %w", err)
	}
	d := grpcDoor{conn, marimbav1.NewVotesClient(conn), language}
	if stream {
		return streamDoor{d}, nil
	}
	return d, nil
}

type grpcDoor struct {
	conn     *grpc.ClientConn
	votes    marimbav1.VotesClient
	language string
}

func (d grpcDoor) Close() error { return d.conn.Close() }

func (d grpcDoor) ask(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "accept-language", d.language)
}

func (d grpcDoor) Cast(ctx context.Context, contest string, rows []Row) ([]Outcome, error) {
	in := &marimbav1.CastManyRequest{Votes: make([]*marimbav1.Vote, len(rows))}
	for i, row := range rows {
		in.Votes[i] = message(contest, row.Ballot)
	}
	reply, err := d.votes.CastMany(d.ask(ctx), in)
	if err != nil {
		return nil, final(fmt.Errorf("cast by gRPC: %w", err))
	}
	outcomes := make([]Outcome, len(reply.GetResults()))
	for i, result := range reply.GetResults() {
		if outcomes[i], err = outcomeOf(result); err != nil {
			return nil, fmt.Errorf("cast by gRPC: %w", err)
		}
	}
	return outcomes, nil
}

// streamDoor sends each part over a stream of its own: its votes are answered
// one by one, in any order.
type streamDoor struct{ grpcDoor }

func (d streamDoor) Cast(ctx context.Context, contest string, rows []Row) ([]Outcome, error) {
	ctx, cancel := context.WithCancel(d.ask(ctx))
	defer cancel()
	stream, err := d.votes.CastStream(ctx)
	if err != nil {
		return nil, final(fmt.Errorf("open stream: %w", err))
	}
	sent := make(chan error, 1)
	go func() {
		for i, row := range rows {
			if err := stream.Send(&marimbav1.CastStreamRequest{Seq: uint64(i), Vote: message(contest, row.Ballot)}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	outcomes := make([]Outcome, len(rows))
	answered := 0
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, final(fmt.Errorf("read stream: %w", err))
		}
		if reply.GetSeq() >= uint64(len(rows)) {
			return nil, fmt.Errorf("%w: an answer for vote %d, which was not sent", ErrFinal, reply.GetSeq())
		}
		if outcomes[reply.GetSeq()], err = outcomeOf(reply.GetResult()); err != nil {
			return nil, fmt.Errorf("cast by stream: %w", err)
		}
		answered++
	}
	if err := <-sent; err != nil {
		return nil, fmt.Errorf("write stream: %w", err)
	}
	if answered != len(rows) {
		return nil, fmt.Errorf("cast by stream: %d of %d votes were answered", answered, len(rows))
	}
	return outcomes, nil
}

func message(contest string, b events.Ballot) *marimbav1.Vote {
	v := &marimbav1.Vote{
		Name: b.Name, Album: b.Album, Year: b.Year, Rank: b.Rank,
		Id: b.ID, Contest: contest, Voter: b.Voter,
	}
	if t, err := time.Parse(time.RFC3339, b.CastAt); err == nil {
		v.CastAt = timestamppb.New(t)
	}
	return v
}

// outcomeOf reads a vote's result. A vote that Kafka did not confirm is an
// error: it is sent again.
func outcomeOf(result *marimbav1.CastResult) (Outcome, error) {
	no := result.GetRefusal()
	switch {
	case result.GetReceipt() != nil:
		return Outcome{}, nil
	case no == nil:
		return Outcome{}, errors.New("a result without outcome")
	case codes.Code(no.GetCode()) == codes.Unavailable:
		return Outcome{}, status.ErrorProto(no)
	}
	return refusalOf(no), nil
}

func refusalOf(no *rpcstatus.Status) Outcome {
	o := Outcome{Code: "refused", Detail: no.GetMessage()}
	for _, detail := range status.FromProto(no).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			o.Code = events.Code(strings.ToLower(d.GetReason()))
		case *errdetails.LocalizedMessage:
			o.Detail = d.GetMessage()
		case *errdetails.BadRequest:
			for _, violation := range d.GetFieldViolations() {
				o.Field = violation.GetField()
			}
		}
	}
	return o
}

// final marks errors that no repetition mends.
func final(err error) error {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound, codes.Unimplemented, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition:
		return fmt.Errorf("%w: %w", ErrFinal, err)
	}
	return err
}
