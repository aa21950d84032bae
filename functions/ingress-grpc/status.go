package main

import (
	"context"
	"errors"
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
	details := []protoadapt.MessageV1{
		info(no.Code, maps.Clone(no.Params)),
		&errdetails.LocalizedMessage{Locale: lang, Message: text},
	}
	if no.Field != "" {
		details = append(details, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
			Field: no.Field, Description: text, Reason: strings.ToUpper(string(no.Code)),
		}}})
	}
	return with(bare(no), details...)
}

// bare is a refusal without details: its message tells field and code.
func bare(no *events.Refusal) *status.Status {
	code := codes.InvalidArgument
	switch no.Code {
	case events.ContestUnknown:
		code = codes.NotFound
	case events.TooEarly, events.TooLate:
		code = codes.FailedPrecondition
	case events.Unavailable: // the rules gave no answer
		code = codes.Unavailable
	}
	return status.New(code, no.Error())
}

// unavailable is the status of a vote that Kafka did not confirm. It names the
// vote's id: a retry with that id counts once, whatever became of this try.
func unavailable(ctx context.Context, err error, id string) *status.Status {
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err())
	}
	no, why := events.Refuse(events.Unavailable, ""), "kafka did not confirm the vote"
	if errors.Is(err, publish.ErrBusy) {
		no, why = events.Refuse(events.Busy, ""), "too many votes are waiting"
	}
	lang, text := problem.Message(language(ctx), no)
	return with(status.New(codes.Unavailable, why+"; retry with the same id"),
		info(no.Code, map[string]string{"id": id}),
		&errdetails.LocalizedMessage{Locale: lang, Message: text},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)},
	)
}

// ended is the status of a stream that the server ends.
func ended(why error) *status.Status {
	return with(status.New(codes.Unavailable, "the stream is over: "+why.Error()+"; send what has no answer on another"),
		info(events.Unavailable, nil),
		&errdetails.RetryInfo{RetryDelay: durationpb.New(0)},
	)
}

func info(code events.Code, values map[string]string) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Reason: strings.ToUpper(string(code)), Domain: domain, Metadata: values}
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
