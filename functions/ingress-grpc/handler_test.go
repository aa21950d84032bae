package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"marimba/events"
	"marimba/functions/internal/publish"
	"marimba/proto/confproto"
	marimbav1 "marimba/proto/marimba/v1"
)

// A vote that is taken is cast as it was written, without its voter's name, and
// has a receipt.
func TestCast(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	in := &marimbav1.Vote{
		Name: " Malacates  Trébol Shop", Album: "Paquetecuetes", Year: "2006", Rank: "9.5",
		Id: "mine:1", Voter: "ana", CastAt: timestamppb.New(received.Add(-time.Hour)),
	}
	got, err := d.votes.Cast(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := &marimbav1.Receipt{Id: "mine:1", Status: "accepted", Contest: "default", Receipt: "box-default.0", ReceivedAt: timestamppb.New(received),
		Secret: got.GetSecret(), Commitment: got.GetCommitment()} // of which TestReceiptsHoldKeepsakes tells
	if !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	v := d.cast[0]
	if v.Name != "Malacates Trébol Shop" || v.Year != 2006 || v.Rank != 950 || len(v.VoterKey) != 32 || !v.CastAt.Equal(received.Add(-time.Hour)) {
		t.Errorf("cast is %+v", v)
	}
	got, err = d.votes.Cast(t.Context(), vote("Alux Nahual"))
	if err != nil || got.GetId() != "made-2" || len(d.cast[1].VoterKey) != 0 {
		t.Errorf("without id and voter: %v, %v", got, err)
	}
}

// A vote that is not taken is told with code, field and reason, in the language
// asked for, and is not cast.
func TestCastRefuses(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	for _, c := range []struct {
		change func(*marimbav1.Vote)
		code   codes.Code
		reason events.Code
		field  string
	}{
		{func(v *marimbav1.Vote) { *v = marimbav1.Vote{} }, codes.InvalidArgument, events.FieldMissing, "name"},
		{func(v *marimbav1.Vote) { v.Name = strings.Repeat("x", 121) }, codes.InvalidArgument, events.TextTooLong, "name"},
		{func(v *marimbav1.Vote) { v.Album = "a\u202eb" }, codes.InvalidArgument, events.TextForbidden, "album"},
		{func(v *marimbav1.Vote) { v.Year = "mil" }, codes.InvalidArgument, events.YearMalformed, "year"},
		{func(v *marimbav1.Vote) { v.Year = "1899" }, codes.InvalidArgument, events.YearOutOfRange, "year"},
		{func(v *marimbav1.Vote) { v.Rank = "1st" }, codes.InvalidArgument, events.RankMalformed, "rank"},
		{func(v *marimbav1.Vote) { v.Id = "a b" }, codes.InvalidArgument, events.IDMalformed, "id"},
		{func(v *marimbav1.Vote) { v.Contest = "Rock" }, codes.InvalidArgument, events.NameMalformed, "contest"},
		{func(v *marimbav1.Vote) { v.Contest = "jazz" }, codes.NotFound, events.ContestUnknown, "contest"},
		{func(v *marimbav1.Vote) { v.Contest = "rock" }, codes.InvalidArgument, events.BandUnknown, "name"},
		{func(v *marimbav1.Vote) { v.CastAt = &timestamppb.Timestamp{Seconds: 1 << 60} }, codes.InvalidArgument, events.TimeMalformed, "cast_at"},
	} {
		v := vote("La Tona")
		c.change(v)
		_, err := d.votes.Cast(asking(t.Context(), "es-GT"), v)
		refusedAs(t, status.Convert(err), c.code, c.reason, c.field)
	}
	if len(d.cast) > 0 {
		t.Errorf("cast are %v", d.cast)
	}

	_, err := d.votes.Cast(asking(t.Context(), "en-US,es;q=0.5"), &marimbav1.Vote{Name: "La Tona", Year: "1982", Rank: "1", Contest: "rock"})
	if got := tell(t, status.Convert(err)); got.lang != "en" || got.text != "The band “La Tona” is not in this contest." || got.values["name"] != "La Tona" {
		t.Errorf("in English: %+v", got)
	}
}

// A contest that is not open yet, or not any more, is no fault of the vote.
func TestTimeIsAPrecondition(t *testing.T) {
	for _, code := range []events.Code{events.TooEarly, events.TooLate} {
		if got := bare(events.Refuse(code, "")).Code(); got != codes.FailedPrecondition {
			t.Errorf("%s is %v", code, got)
		}
	}
}

// A vote that Kafka did not confirm may be sent again: the status says when, and
// under which id.
func TestCastIsNotConfirmed(t *testing.T) {
	for want, away := range map[string]error{
		"UNAVAILABLE": fmt.Errorf("%w: timed out", publish.ErrUnavailable),
		"BUSY":        publish.ErrBusy,
	} {
		d := newDoor(t, &casterTwin{away: map[string]error{"default": away}})
		_, err := d.votes.Cast(asking(t.Context(), "en"), vote("Alux Nahual"))
		got := tell(t, status.Convert(err))
		if got.code != codes.Unavailable || got.reason != want || got.values["id"] != "made-1" || !got.retry || got.lang != "en" || got.text == "" {
			t.Errorf("%s: %+v", want, got)
		}
		if strings.Contains(err.Error(), "timed out") {
			t.Errorf("the client is told what is for the log: %v", err)
		}
	}
}

// A client that waits no longer is told that, and no more.
func TestCastIsGivenUp(t *testing.T) {
	d := newDoor(t, &casterTwin{hold: make(chan struct{})})
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, err := d.votes.Cast(ctx, vote("Alux Nahual")); done <- err }()
	for d.waiting() == 0 {
		time.Sleep(time.Millisecond) // until it is at Kafka
	}
	leave()
	if err := <-done; status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	for d.waiting() > 0 { // the caster is told too
		time.Sleep(time.Millisecond)
	}
	if s := unavailable(ctx, publish.ErrUnavailable, "a"); s.Code() != codes.Canceled || len(s.Details()) > 0 {
		t.Errorf("status is %v", s)
	}
}

// Each vote of a batch has its own result, at its own place: the good of one
// contest are taken, the bad refused, those of another that Kafka does not
// confirm can be sent again.
func TestCastMany(t *testing.T) {
	d := newDoor(t, &casterTwin{away: map[string]error{"rock": publish.ErrUnavailable}})
	in := &marimbav1.CastManyRequest{}
	for i := range 30 {
		v := vote(fmt.Sprint("Banda ", i))
		v.Id = fmt.Sprint("id-", i)
		switch i % 3 {
		case 1:
			v.Rank = "x"
		case 2:
			v.Name, v.Contest = "trebol", "rock"
		}
		in.Votes = append(in.Votes, v)
	}
	in.Votes[3] = nil // is an empty one
	out, err := d.votes.CastMany(asking(t.Context(), "es"), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.GetResults()) != 30 || out.GetAccepted() != 9 || out.GetRefused() != 21 {
		t.Fatalf("%d results, %d accepted, %d refused", len(out.GetResults()), out.GetAccepted(), out.GetRefused())
	}
	for i, r := range out.GetResults() {
		no := status.FromProto(r.GetRefusal())
		switch {
		case i == 3:
			refusedAs(t, no, codes.InvalidArgument, events.FieldMissing, "name")
		case i%3 == 0:
			if r.GetReceipt().GetId() != fmt.Sprint("id-", i) || r.GetReceipt().GetStatus() != "accepted" {
				t.Errorf("result %d is %v", i, r)
			}
		case i%3 == 1:
			refusedAs(t, no, codes.InvalidArgument, events.RankMalformed, "rank")
		default:
			if got := tell(t, no); got.code != codes.Unavailable || got.values["id"] != fmt.Sprint("id-", i) || !got.retry {
				t.Errorf("result %d is %+v", i, got)
			}
		}
	}
	for i, v := range d.cast {
		if v.Name != fmt.Sprint("Banda ", 3*i) && v.Name != fmt.Sprint("Banda ", 3*(i+1)) {
			t.Errorf("cast %d is %s", i, v.Name)
		}
	}
	if empty, err := d.votes.CastMany(t.Context(), &marimbav1.CastManyRequest{}); err != nil || len(empty.GetResults()) != 0 {
		t.Errorf("a batch of none: %v, %v", empty, err)
	}
}

// A batch has a bound; one over it is refused as a whole. The largest that may be
// is answered in a reply that any client takes, whatever becomes of its votes.
func TestCastManyIsBounded(t *testing.T) {
	batch := func(n int, contest string) *marimbav1.CastManyRequest {
		in := &marimbav1.CastManyRequest{}
		for i := range n {
			in.Votes = append(in.Votes, &marimbav1.Vote{
				Name: strings.Repeat("n", events.MaxName), Album: "A", Year: "1982", Rank: "2", Contest: contest,
				Id: strings.Repeat("x", 58) + fmt.Sprintf("-%05d", i),
			})
		}
		return in
	}
	d := newDoor(t, &casterTwin{away: map[string]error{}})
	_, err := d.votes.CastMany(asking(t.Context(), "es"), batch(maxMany+1, ""))
	refusedAs(t, status.Convert(err), codes.InvalidArgument, events.TooManyRows, "votes")
	if len(d.cast) > 0 {
		t.Errorf("%d votes are cast", len(d.cast))
	}
	for contest, want := range map[string]codes.Code{"default": codes.OK, "rock": codes.InvalidArgument} {
		out, err := d.votes.CastMany(t.Context(), batch(maxMany, contest))
		if err != nil {
			t.Fatalf("%s: %v", contest, err)
		}
		for _, i := range []int{0, maxMany - 1} {
			no := status.FromProto(out.GetResults()[i].GetRefusal())
			if no.Code() != want || want != codes.OK && !strings.Contains(no.Message(), ": ") {
				t.Errorf("%s: result %d is %v", contest, i, no)
			}
		}
	}
	d.away["default"] = publish.ErrUnavailable
	out, err := d.votes.CastMany(t.Context(), batch(maxMany, "default"))
	if err != nil || out.GetRefused() != maxMany {
		t.Errorf("not confirmed: %d refused, %v", out.GetRefused(), err)
	}
}

// A client of the system that this one succeeds is answered as it always was, and
// told as the others what is wrong.
func TestReturnInfo(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	older := confproto.NewGetInfoClient(d.conn)
	got, err := older.ReturnInfo(t.Context(), &confproto.RequestId{Name: "Band A", Album: "Album A1", Year: "1924", Rank: "1"})
	if err != nil || got.GetInfo() != "accepted box-default.0" {
		t.Errorf("got %v, %v", got, err)
	}
	if v := d.cast[0]; v.Name != "Band A" || v.Year != 1924 || v.Rank != 100 {
		t.Errorf("cast is %+v", v)
	}
	_, err = older.ReturnInfo(asking(t.Context(), "es"), &confproto.RequestId{Name: "Band A", Album: "Album A1", Year: "1924"})
	refusedAs(t, status.Convert(err), codes.InvalidArgument, events.FieldMissing, "rank")
}

// raw is bytes that go as they are.
type raw []byte

// rawCodec sends raw, and reads nothing.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.(raw))}, nil
}
func (rawCodec) Unmarshal(_ mem.BufferSlice, _ any) error { return nil }

var _ encoding.CodecV2 = rawCodec{}

// What is no vote's message, or too large, never comes to be a vote; gRPC itself
// says so, with its own code.
func TestUnreadableMessages(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	for say, c := range map[string]struct {
		message []byte
		code    codes.Code
	}{
		"broken UTF-8": {[]byte("\x0a\x02a\xff"), codes.Internal},
		"cut off":      {[]byte("\x0a\x20abc"), codes.Internal},
		"text":         {[]byte(`{"name":"Alux Nahual"}`), codes.Internal},
		"too large":    {make([]byte, maxMessage+1), codes.ResourceExhausted},
	} {
		for _, method := range []string{
			marimbav1.Votes_Cast_FullMethodName, marimbav1.Votes_CastMany_FullMethodName, confproto.GetInfo_ReturnInfo_FullMethodName,
		} {
			if method == marimbav1.Votes_CastMany_FullMethodName && say == "broken UTF-8" {
				c.message = append([]byte{0x0a, byte(len(c.message))}, c.message...) // in its first vote
			}
			err := d.conn.Invoke(t.Context(), method, raw(c.message), new(int), grpc.ForceCodecV2(rawCodec{}))
			if status.Code(err) != c.code {
				t.Errorf("%s: %s: %v", say, method, err)
			}
		}
	}
	if len(d.cast) > 0 {
		t.Errorf("cast are %v", d.cast)
	}
}

// The function says that it is well, without staying awake to be watched, and
// describes its services.
func TestHealthAndReflection(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	health := healthpb.NewHealthClient(d.conn)
	if got, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", got, err)
	}
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a watch ends with %v", err)
	}
	stream, err := reflectionpb.NewServerReflectionClient(d.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	listed, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"marimba.v1.Votes", "confproto.getInfo", "grpc.health.v1.Health"} {
		if !strings.Contains(listed.String(), name) {
			t.Errorf("%s is not in %v", name, listed)
		}
	}
}

// A call that runs is finished before the server stops; one that does not finish
// in time is cut off, and over before what it uses is closed.
func TestDrain(t *testing.T) {
	for _, patient := range []bool{true, false} {
		d := newDoor(t, &casterTwin{hold: make(chan struct{})})
		done := make(chan error, 1)
		go func() { _, err := d.votes.Cast(t.Context(), vote("Alux Nahual")); done <- err }()
		for d.waiting() == 0 {
			time.Sleep(time.Millisecond) // until it is at Kafka
		}
		limit, cut := context.WithCancel(t.Context())
		defer cut()
		drained := make(chan error, 1)
		go func() { drained <- drain(limit, d.server) }()
		if patient {
			close(d.hold)
			if err := <-done; err != nil {
				t.Errorf("the call that ran: %v", err)
			}
			if err := <-drained; err != nil {
				t.Errorf("drain: %v", err)
			}
			continue
		}
		cut()
		if err := <-drained; !errors.Is(err, context.Canceled) {
			t.Errorf("drain: %v", err)
		}
		if d.waiting() > 0 {
			t.Error("a call is not over")
		}
		if err := <-done; status.Code(err) != codes.Unavailable {
			t.Errorf("the call that was cut off: %v", err)
		}
	}
}

// All that is missing is told, and what is enough is taken.
func TestSettings(t *testing.T) {
	_, err := load(nil)
	for _, name := range []string{"KAFKA_BROKER", "VOTER_SECRET", "RECEIPT_SECRET"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing, and the error is %v", name, err)
		}
	}
	s, err := load([]string{"KAFKA_BROKER=127.0.0.1:9092", "VOTER_SECRET=s", "RECEIPT_SECRET=r", "PORT=9"})
	if err != nil || s.Port != 9 || s.Voters.Secret.Reveal() != "s" || s.Receipts.Secret.Reveal() != "r" {
		t.Errorf("got %+v, %v", s, err)
	}
}

// nothing is a service that does nothing, to compare with.
type nothing struct {
	marimbav1.UnimplementedVotesServer
}

func (nothing) Cast(context.Context, *marimbav1.Vote) (*marimbav1.Receipt, error) {
	return new(marimbav1.Receipt), nil
}

// What a vote costs over loopback, client and server together, beside a call
// that does nothing.
func BenchmarkCast(b *testing.B) {
	for name, register := range map[string]func(*grpc.Server){
		"nothing": func(s *grpc.Server) { marimbav1.RegisterVotesServer(s, nothing{}) },
		"vote":    nil,
	} {
		b.Run(name, func(b *testing.B) {
			server := newDoor(b, quick{}).server
			if register != nil {
				server = grpc.NewServer()
				register(server)
			}
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go server.Serve(lis) //nolint:errcheck // it ends with the benchmark
			defer server.Stop()
			conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			client := marimbav1.NewVotesClient(conn)
			in := vote("Alux Nahual")
			in.Id, in.Voter = "mine:1", "ana"
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := client.Cast(b.Context(), in); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// quick is a caster that has cast already.
type quick struct{}

func (quick) Cast(_ context.Context, _ string, _ events.Channel, votes []events.Vote) ([]publish.Receipt, error) {
	receipts := make([]publish.Receipt, len(votes))
	for i, v := range votes {
		receipts[i] = publish.Receipt{ID: v.ID, Receipt: "0196ccd5-7d3b-7000-8000-000000000001.1", At: received}
	}
	return receipts, nil
}
