package main

import (
	"cmp"
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"marimba/events"
	"marimba/functions/internal/telemetry"
)

// tellRefused tells of a ballot that is refused.
func tellRefused(b events.Ballot, no *events.Refusal) {
	if no.Code == events.Unavailable {
		telemetry.Unavailable(telemetry.Rules)
		return
	}
	telemetry.Refused(cmp.Or(b.Contest, events.DefaultContest), no.Code)
}

// watchCalls and watchStreams tell of each call of a method that there is. What
// the caller says of its trace is in the metadata.
func watchCalls(ctx context.Context, in any, about *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	ctx, r := telemetry.Begin(ctx, about.FullMethod, parentOf(ctx))
	code := codes.Internal // it panics
	defer func() { r.End(about.FullMethod, code.String(), isFault(code)) }()
	out, err := handle(ctx, in)
	code = status.Code(err)
	return out, err
}

func watchStreams(server any, stream grpc.ServerStream, about *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx, r := telemetry.Begin(stream.Context(), about.FullMethod, parentOf(stream.Context()))
	code := codes.Internal // it panics
	defer func() { r.End(about.FullMethod, code.String(), isFault(code)) }()
	err := handle(server, &tracedStream{stream, ctx})
	code = status.Code(err)
	return err
}

// tracedStream is a stream whose context knows its trace.
type tracedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *tracedStream) Context() context.Context { return s.ctx }

func parentOf(ctx context.Context) string {
	if said := metadata.ValueFromIncomingContext(ctx, "traceparent"); len(said) == 1 {
		return said[0]
	}
	return ""
}

func isFault(code codes.Code) bool {
	switch code {
	case codes.Unknown, codes.Internal, codes.Unavailable, codes.DataLoss, codes.DeadlineExceeded, codes.ResourceExhausted:
		return true
	}
	return false
}
