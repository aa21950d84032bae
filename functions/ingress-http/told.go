package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"marimba/events"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/telemetry"
)

// errInner is wrapped by the errors of ingress-grpc's calls.
var errInner = errors.New("ingress-grpc")

// tell tells of a fault, unless that was done where it was found.
func tell(req *http.Request, f *fault) {
	switch {
	case f.told:
	case f.status == http.StatusServiceUnavailable:
		telemetry.Unavailable(causeOf(req.Context(), f))
	default:
		telemetry.Refused(cmp.Or(f.contest, req.PathValue("contest")), f.no.Code)
	}
}

func causeOf(ctx context.Context, f *fault) telemetry.Cause {
	cause := publish.CauseOf(ctx, f.err)
	switch {
	case cause == telemetry.Gone:
	case errors.Is(f.err, errInner):
		return telemetry.Inner
	case f.err == nil && f.no.Code == events.Unavailable:
		return telemetry.Rules
	}
	return cause
}

// contestOf is the contest that a ballot is for.
func contestOf(b events.Ballot) string { return cmp.Or(b.Contest, events.DefaultContest) }
