package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"marimba/events"
	"marimba/functions/internal/problem"
	"marimba/functions/internal/publish"
	marimbav1 "marimba/proto/marimba/v1"
)

// domain is the domain of our codes in google.rpc.ErrorInfo. The reason there
// is our code in upper case, as that message asks.
const domain = "marimba.gt"

// retryAfter is how long a client is asked to wait when Kafka does not answer.
const retryAfter = time.Second

// refusal is the status of a ballot that is not taken: sending it again will
// not help.
func refusal(ctx context.Context, no *events.Refusal) *status.Status {
	lang, text := problem.Message(language(ctx), no)
	code := codes.InvalidArgument
	switch no.Code {
	case events.ContestUnknown:
		code = codes.NotFound
	case events.TooEarly, events.TooLate:
		code = codes.FailedPrecondition
	}
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: strings.ToUpper(string(no.Code)), Domain: domain, Metadata: maps.Clone(no.Params)},
		&errdetails.LocalizedMessage{Locale: lang, Message: text},
	}
	if no.Field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: no.Field, Description: text, Reason: strings.ToUpper(string(no.Code)),
		}}})
	}
	return with(status.New(code, no.Error()), details...)
}

// unavailable is the status of a vote that Kafka did not confirm. It names the
// vote's id: a retry with that id counts once, whatever became of this try.
func unavailable(ctx context.Context, err error, id string) *status.Status {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err())
	}
	reason := "UNAVAILABLE"
	if errors.Is(err, publish.ErrBusy) {
		reason = "BUSY"
	}
	slog.WarnContext(ctx, "vote not confirmed", "id", id, "error", err)
	return with(status.New(codes.Unavailable, "kafka did not confirm the vote; retry with the same id"),
		&errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: map[string]string{"id": id}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)},
	)
}

// with adds details. They are of known types, so adding them cannot fail; if it
// did, the status alone is still right.
func with(s *status.Status, details ...protoadapt.MessageV1) *status.Status {
	if rich, err := s.WithDetails(details...); err == nil {
		return rich
	}
	return s
}

func refused(s *status.Status) *marimbav1.CastResult {
	return &marimbav1.CastResult{Outcome: &marimbav1.CastResult_Refusal{Refusal: s.Proto()}}
}

// language returns the languages that the client asks for, as HTTP's
// Accept-Language has them.
func language(ctx context.Context) string {
	return strings.Join(metadata.ValueFromIncomingContext(ctx, "accept-language"), ",")
}
