package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"marimba/events"
	marimbav1 "marimba/proto/marimba/v1"
)

// otherDoor is an ingress-grpc that takes bands but "Nobody", and fails when told
// to.
type otherDoor struct {
	marimbav1.UnimplementedVotesServer
	mu                 sync.Mutex
	took               []string
	calls              int
	languages          []string
	fail               *status.Status
	many               *marimbav1.CastManyReply // the answer, whatever is asked
	hold               bool                     // until the call's deadline
	secret, commitment []byte                   // of each receipt
}

func (d *otherDoor) result(v *marimbav1.Vote) (*marimbav1.Receipt, *status.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.fail != nil:
		return nil, d.fail
	case v.GetName() == "Nobody":
		return nil, detailed(codes.InvalidArgument, "BAND_UNKNOWN", "name", map[string]string{"name": "Nobody"})
	}
	id := v.GetId()
	d.took = append(d.took, fmt.Sprintf("%s %s %s|%s|%s|%s %s", v.GetContest(), id, v.GetName(), v.GetAlbum(), v.GetYear(), v.GetRank(), v.GetVoter()))
	return &marimbav1.Receipt{Id: id, Status: "accepted", Contest: "default", Receipt: fmt.Sprintf("far-%d", len(d.took)), ReceivedAt: timestamppb.New(noon),
		Secret: d.secret, Commitment: d.commitment}, nil
}

func (d *otherDoor) begin(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	d.mu.Lock()
	d.calls++
	d.languages = md.Get("accept-language")
	d.mu.Unlock()
	if !d.hold {
		return nil
	}
	<-ctx.Done()
	return status.FromContextError(ctx.Err()).Err()
}

func (d *otherDoor) Cast(ctx context.Context, v *marimbav1.Vote) (*marimbav1.Receipt, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	r, no := d.result(v)
	return r, no.Err()
}

func (d *otherDoor) CastMany(ctx context.Context, in *marimbav1.CastManyRequest) (*marimbav1.CastManyReply, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	if d.many != nil {
		return d.many, nil
	}
	out := new(marimbav1.CastManyReply)
	for _, v := range in.GetVotes() {
		if r, no := d.result(v); no != nil {
			out.Results = append(out.Results, &marimbav1.CastResult{Outcome: &marimbav1.CastResult_Refusal{Refusal: no.Proto()}})
		} else {
			out.Results = append(out.Results, &marimbav1.CastResult{Outcome: &marimbav1.CastResult_Receipt{Receipt: r}})
		}
	}
	return out, nil
}

// detailed is a status as ingress-grpc makes it.
func detailed(code codes.Code, reason, field string, params map[string]string) *status.Status {
	s, err := status.New(code, reason).WithDetails(
		&errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: params},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field}}})
	if err != nil {
		panic(err)
	}
	return s
}

// newFrontHouse is a house with an ingress-grpc behind it, over a real
// connection.
func newFrontHouse(t *testing.T) (*house, *otherDoor) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	door, server := new(otherDoor), grpc.NewServer()
	marimbav1.RegisterVotesServer(server, door)
	go server.Serve(lis) //nolint:errcheck // it ends with the test
	t.Cleanup(server.Stop)
	client, err := dial(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.close(context.Background()) })
	h := newHouse()
	h.votes = client
	return h, door
}

// One vote and many travel on over gRPC, with the same answers as elsewhere.
func TestVotesTravelOnByGRPC(t *testing.T) {
	h, door := newFrontHouse(t)
	for _, path := range []string{"/grpc", "/insert/grpc"} {
		r := wants(t, path, h.post(t, path, `{"Artist":"A","x":1,"album":"b","year":"01982","ranked":9.50,"voter":"Rosa"}`, "Idempotency-Key: k",
			"Accept-Language: en"), http.StatusAccepted, "", "")
		if r.Status != "accepted" || r.ID != "k" || r.Contest != "default" || !strings.HasPrefix(r.Receipt, "far-") || !r.ReceivedAt.Equal(noon) {
			t.Errorf("%s: %+v", path, r)
		}
	}
	want := []string{" k A|b|1982|9.5 Rosa", " k A|b|1982|9.5 Rosa"}
	if !slices.Equal(door.took, want) || !slices.Equal(door.languages, []string{"en"}) {
		t.Errorf("took %q in %q", door.took, door.languages)
	}
	door.took, door.calls = nil, 0
	body := "name,album,year,rank,id,cast_at\nA,b,1982,1st,one,2026-05-01T12:00:00Z\nNobody,b,1982,2,two,\n,b,1982,2,three,\nD,b,1982,2,,\n\xff,b,1982,2,,\n"
	r := wants(t, "many", h.post(t, "/grpc?contest=rock&receipts=1", body, csv), http.StatusAccepted, "", "")
	if r.Accepted != 2 || r.Refused != 3 || r.Warnings != 1 || r.Contest != "rock" || door.calls != 1 {
		t.Errorf("%d calls, %+v", door.calls, r)
	}
	var told []string
	for _, row := range r.Rows {
		told = append(told, fmt.Sprint(row.Row, " ", row.Field, " ", row.Code, " ", row.Detail))
	}
	if want := []string{"2 name band_unknown La banda «Nobody» no está en este concurso.", "3 name field_missing Falta «name».",
		"5 name text_not_utf8 «name» no está en UTF-8."}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	if len(door.took) != 2 || door.took[0] != "rock one A|b|1982|1 " || len(r.Receipts) != 2 || r.Receipts[1].Row != 4 {
		t.Errorf("took %q, receipts %+v", door.took, r.Receipts)
	}
	if h.twin.cast() != nil {
		t.Error("a vote was cast here")
	}
}

// What ingress-grpc answers is told with the same codes, and what may succeed
// later is told as that.
func TestAnswersOfGRPC(t *testing.T) {
	for _, c := range []struct {
		say    string
		fail   *status.Status
		status int
		code   events.Code
		field  string
	}{
		{"refused", detailed(codes.InvalidArgument, "YEAR_OUT_OF_RANGE", "year", map[string]string{"min": "1900", "max": "2027"}), 422, events.YearOutOfRange, "year"},
		{"closed", detailed(codes.FailedPrecondition, "TOO_LATE", "", nil), 422, events.TooLate, ""},
		{"no contest", detailed(codes.NotFound, "CONTEST_UNKNOWN", "contest", nil), 404, events.ContestUnknown, "contest"},
		{"unavailable", detailed(codes.Unavailable, "UNAVAILABLE", "", map[string]string{"id": "far"}), 503, events.Unavailable, ""},
		{"busy", detailed(codes.Unavailable, "BUSY", "", map[string]string{"id": "far"}), 503, events.Busy, ""},
		{"bare", status.New(codes.Unavailable, "gone"), 503, events.Unavailable, ""},
		{"of another domain", status.New(codes.InvalidArgument, "what?"), 503, events.Unavailable, ""},
		{"broken", status.New(codes.Internal, "oh"), 503, events.Unavailable, ""},
	} {
		h, door := newFrontHouse(t)
		door.fail = c.fail
		r := wants(t, c.say, h.post(t, "/grpc", vote), c.status, c.code, c.field)
		if (c.status == 503) != events.IsID(r.ID) { // with the id it can be sent again
			t.Errorf("%s: id %q", c.say, r.ID)
		}
		code := c.code
		if c.status != 503 {
			c.status, code = 422, events.NoneAccepted
		}
		if r := wants(t, c.say, h.post(t, "/grpc", "["+vote+","+vote+"]"), c.status, code, ""); c.status == 422 && r.Rows[1].Code != c.code {
			t.Errorf("%s: %+v", c.say, r.Rows)
		}
	}
	h, door := newFrontHouse(t)
	door.many = &marimbav1.CastManyReply{Results: []*marimbav1.CastResult{{}}}
	wants(t, "too few results", h.post(t, "/grpc", "["+vote+","+vote+"]"), http.StatusServiceUnavailable, events.Unavailable, "")
	door.many.Results = append(door.many.Results, &marimbav1.CastResult{})
	wants(t, "results that say nothing", h.post(t, "/grpc", "["+vote+","+vote+"]"), http.StatusServiceUnavailable, events.Unavailable, "")
}

// An ingress-grpc that does not answer is given up in bounded time, and one that
// is not there at once.
func TestGRPCThatDoesNotAnswer(t *testing.T) {
	h, door := newFrontHouse(t)
	door.hold, h.limit = true, 20*time.Millisecond
	for _, body := range []string{vote, "[" + vote + "," + vote + "]"} {
		wants(t, "held", h.post(t, "/grpc", body), http.StatusServiceUnavailable, events.Unavailable, "")
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := lis.Close(); err != nil { // nobody is at this address now
		t.Fatal(err)
	}
	client, err := dial(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.close(context.Background()) //nolint:errcheck // it was never open
	h.votes = client
	wants(t, "gone", h.post(t, "/grpc", vote), http.StatusServiceUnavailable, events.Unavailable, "")
}

// What gRPC's headers cannot hold is not put there.
func TestLanguageThatCannotTravel(t *testing.T) {
	h, door := newFrontHouse(t)
	for _, language := range []string{"es\x00", "ñ", strings.Repeat("x", 1000)} {
		wants(t, language, h.post(t, "/grpc", vote, "Accept-Language: "+language), http.StatusAccepted, "", "")
		if len(door.languages) != 0 {
			t.Errorf("%q travelled", door.languages)
		}
	}
}
