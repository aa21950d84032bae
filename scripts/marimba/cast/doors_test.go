package cast

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"marimba/events"
	marimbav1 "marimba/proto/marimba/v1"
)

// The HTTP door reads a bulk's report: accepted rows, refused ones by number.
func TestHTTPDoor(t *testing.T) {
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		body = string(text)
		if r.URL.Path != "/v1/contests/rock-gt/votes" || r.Header.Get("Content-Type") != "application/x-ndjson" || r.Header.Get("Accept-Language") != "es" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"accepted":1,"refused":1,"rows":[{"row":2,"code":"band_unknown","field":"name","detail":"¿quién?"}]}`)
	}))
	defer server.Close()
	door, err := HTTP(server.URL+"/", "es", false)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	got, err := door.Cast(t.Context(), "rock-gt", rows(2))
	if err != nil || len(got) != 2 || got[0] != (Outcome{}) || got[1] != (Outcome{"band_unknown", "name", "¿quién?"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if lines := strings.Split(strings.TrimSpace(body), "\n"); len(lines) != 2 || !strings.Contains(lines[1], `"id":"id-2"`) {
		t.Errorf("body %q", body)
	}
}

// What may be sent again and what may not is told apart by the status.
func TestHTTPDoorRefused(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		final  bool
		err    bool
	}{
		{http.StatusServiceUnavailable, `{"code":"unavailable"}`, false, true},
		{http.StatusBadGateway, `no`, false, true},
		{http.StatusTooManyRequests, ``, false, true},
		{http.StatusNotFound, `{"code":"contest_unknown","detail":"x"}`, true, true},
		{http.StatusNotFound, `404 page not found`, true, true},
		{http.StatusUnprocessableEntity, `{"code":"band_unknown","rows":[{"row":1,"code":"band_unknown"}]}`, false, false},
		{http.StatusAccepted, `{"rows":[{"row":7,"code":"band_unknown"}]}`, true, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		door, err := HTTP(server.URL, "en", false)
		if err != nil {
			t.Fatal(err)
		}
		got, err := door.Cast(t.Context(), "x", rows(1))
		if (err != nil) != c.err || errors.Is(err, ErrFinal) != c.final {
			t.Errorf("%d %s: %v, %v", c.status, c.body, got, err)
		}
		if !c.err && got[0].Code != events.BandUnknown {
			t.Errorf("%d %s: %v", c.status, c.body, got)
		}
		server.Close()
	}
}

// The event door posts each vote as a CloudEvent in binary mode.
func TestEventDoor(t *testing.T) {
	ids := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ids[r.Header.Get("Ce-Id")] = true
		if r.URL.Path != "/" || r.Header.Get("Ce-Specversion") != "1.0" || r.Header.Get("Ce-Subject") != "rock-gt" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		if r.Header.Get("Ce-Id") == "id-2" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, `{"code":"rank_out_of_range","field":"rank"}`)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	defer server.Close()
	door, err := HTTP(server.URL, "en", true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := door.Cast(t.Context(), "rock-gt", rows(2))
	if err != nil || len(ids) != 2 || got[0].Code != "" || got[1].Code != events.RankOutOfRange || got[1].Field != "rank" {
		t.Errorf("%v %+v, %v", ids, got, err)
	}
}

// votes is a Votes service whose second vote is refused; while it is busy it
// confirms none.
type votes struct {
	marimbav1.UnimplementedVotesServer
	busy bool
	lang string
}

func (s *votes) result(ctx context.Context, v *marimbav1.Vote) *marimbav1.CastResult {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		s.lang = strings.Join(md.Get("accept-language"), ",")
	}
	no := status.New(codes.Unavailable, "busy")
	switch {
	case s.busy:
	case v.GetId() == "id-2":
		no, _ = status.New(codes.InvalidArgument, "name: band_unknown").WithDetails(
			&errdetails.ErrorInfo{Reason: "BAND_UNKNOWN"},
			&errdetails.LocalizedMessage{Locale: "es", Message: "¿quién?"},
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "name"}}})
	default:
		return &marimbav1.CastResult{Outcome: &marimbav1.CastResult_Receipt{Receipt: &marimbav1.Receipt{Id: v.GetId()}}}
	}
	return &marimbav1.CastResult{Outcome: &marimbav1.CastResult_Refusal{Refusal: no.Proto()}}
}

func (s *votes) CastMany(ctx context.Context, in *marimbav1.CastManyRequest) (*marimbav1.CastManyReply, error) {
	out := new(marimbav1.CastManyReply)
	for _, v := range in.GetVotes() {
		out.Results = append(out.Results, s.result(ctx, v))
	}
	return out, nil
}

func (s *votes) CastStream(stream grpc.BidiStreamingServer[marimbav1.CastStreamRequest, marimbav1.CastStreamReply]) error {
	var all []*marimbav1.CastStreamRequest
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, in)
	}
	for i := len(all) - 1; i >= 0; i-- { // in no set order
		if err := stream.Send(&marimbav1.CastStreamReply{Seq: all[i].GetSeq(), Result: s.result(stream.Context(), all[i].GetVote())}); err != nil {
			return err
		}
	}
	return nil
}

// Both gRPC doors give each row its outcome, in the rows' order; a vote that was
// not confirmed is an error, and sent again.
func TestGRPCDoors(t *testing.T) {
	service := &votes{}
	server := grpc.NewServer()
	marimbav1.RegisterVotesServer(server, service)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(lis)
	defer server.Stop()
	for _, stream := range []bool{false, true} {
		service.busy = false
		door, err := GRPC("http://"+lis.Addr().String(), "es", stream)
		if err != nil {
			t.Fatal(err)
		}
		got, err := door.Cast(t.Context(), "rock-gt", rows(3))
		if err != nil || len(got) != 3 || got[0].Code != "" || got[1] != (Outcome{events.BandUnknown, "name", "¿quién?"}) || got[2].Code != "" {
			t.Errorf("stream %v: %+v, %v", stream, got, err)
		}
		if service.lang != "es" {
			t.Errorf("stream %v: language %q", stream, service.lang)
		}
		service.busy = true
		if _, err := door.Cast(t.Context(), "rock-gt", rows(3)); err == nil || errors.Is(err, ErrFinal) {
			t.Errorf("stream %v: busy: %v", stream, err)
		}
		if err := door.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An address that is none is told at once.
func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "ingress", "http://", "https://x"} {
		if door, err := GRPC(address, "en", false); err == nil {
			t.Errorf("GRPC %q: %v", address, door)
		}
	}
	for _, address := range []string{"", "ingress:80", "ftp://x"} {
		if door, err := HTTP(address, "en", false); err == nil {
			t.Errorf("HTTP %q: %v", address, door)
		}
	}
}
