package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"marimba/events"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/voter"
	marimbav1 "marimba/proto/marimba/v1"
)

type clientStream = grpc.BidiStreamingClient[marimbav1.CastStreamRequest, marimbav1.CastStreamReply]

func openStream(t *testing.T, ctx context.Context, d *door) clientStream {
	t.Helper()
	stream, err := d.votes.CastStream(asking(ctx, "es"))
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// sendVotes sends votes with the numbers from first on, below end.
func sendVotes(t *testing.T, stream clientStream, first, end uint64) {
	t.Helper()
	for seq := first; seq < end; seq++ {
		v := vote("Alux Nahual")
		v.Id = fmt.Sprint("id-", seq)
		if err := stream.Send(&request{Seq: seq, Vote: v}); err != nil {
			t.Fatalf("vote %d: %v", seq, err)
		}
	}
}

// answers reads a stream to its end, and returns the answers by their number, and
// what it ended with; io.EOF if that is well.
func answers(t *testing.T, stream clientStream) (map[uint64]*marimbav1.CastResult, error) {
	t.Helper()
	got := make(map[uint64]*marimbav1.CastResult)
	for {
		in, err := stream.Recv()
		if err != nil {
			return got, err
		}
		if got[in.GetSeq()] != nil {
			t.Errorf("vote %d is answered twice", in.GetSeq())
		}
		got[in.GetSeq()] = in.GetResult()
	}
}

// inBubble runs a test of a door in a bubble, in which time stands still while
// anything can move. Kafka may hold the votes until the test lets go of them.
func inBubble(t *testing.T, held bool, test func(t *testing.T, d *door)) {
	synctest.Test(t, func(t *testing.T) {
		c := new(casterTwin)
		if held {
			c.hold = make(chan struct{})
		}
		test(t, newDoor(t, c))
	})
}

// Each vote of a stream is answered under its number: with a receipt, a refusal,
// or that it may be sent again. The stream ends well when its client has sent all
// and all is answered.
func TestStreamAnswersEachVote(t *testing.T) {
	d := newDoor(t, &casterTwin{away: map[string]error{"rock": publish.ErrUnavailable}})
	stream := openStream(t, t.Context(), d)
	go func() {
		for seq := range uint64(3000) {
			v := vote("Alux Nahual")
			v.Id = fmt.Sprint("id-", seq)
			switch seq % 3 {
			case 1:
				v.Year = ""
			case 2:
				v.Name, v.Contest = "trebol", "rock"
			}
			if err := stream.Send(&request{Seq: seq, Vote: v}); err != nil {
				t.Error(err)
				return
			}
		}
		_ = stream.CloseSend()
	}()
	got, err := answers(t, stream)
	if !errors.Is(err, io.EOF) || len(got) != 3000 {
		t.Fatalf("%d answers, then %v", len(got), err)
	}
	for seq, r := range got {
		no := status.FromProto(r.GetRefusal())
		switch seq % 3 {
		case 0:
			if r.GetReceipt().GetId() != fmt.Sprint("id-", seq) {
				t.Errorf("vote %d: %v", seq, r)
			}
		case 1:
			refusedAs(t, no, codes.InvalidArgument, events.FieldMissing, "year")
		default:
			if got := tell(t, no); got.code != codes.Unavailable || !got.retry || got.values["id"] != fmt.Sprint("id-", seq) {
				t.Errorf("vote %d: %+v", seq, got)
			}
		}
	}
	if len(d.cast) != 1000 {
		t.Errorf("%d votes are cast", len(d.cast))
	}
}

// A request without a vote is an empty vote, and a stream without a request is
// over when its client says so.
func TestStreamOfNothing(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	stream := openStream(t, t.Context(), d)
	if err := stream.Send(&request{Seq: 7}); err != nil {
		t.Fatal(err)
	}
	_ = stream.CloseSend()
	got, err := answers(t, stream)
	if !errors.Is(err, io.EOF) || len(got) != 1 {
		t.Fatalf("%v, then %v", got, err)
	}
	refusedAs(t, status.FromProto(got[7].GetRefusal()), codes.InvalidArgument, events.FieldMissing, "name")
	stream = openStream(t, t.Context(), d)
	_ = stream.CloseSend()
	if got, err := answers(t, stream); !errors.Is(err, io.EOF) || len(got) > 0 {
		t.Errorf("%v, then %v", got, err)
	}
}

// No more votes of a stream wait for Kafka than may, however many are sent; the
// rest is taken when there is room, and all is answered.
func TestStreamIsBounded(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *door) {
		stream := openStream(t, t.Context(), d)
		const votes = 3 * maxUnanswered
		go func() {
			sendVotes(t, stream, 0, votes)
			_ = stream.CloseSend()
		}()
		synctest.Wait()
		if d.waiting() != maxUnanswered {
			t.Errorf("%d votes wait for Kafka", d.waiting())
		}
		close(d.hold)
		got, err := answers(t, stream)
		if !errors.Is(err, io.EOF) || len(got) != votes || d.most != maxUnanswered {
			t.Errorf("%d answers, then %v; %d votes waited", len(got), err, d.most)
		}
	})
}

// A client that goes away takes its stream with it: nothing waits for it, whether
// its votes wait for Kafka or their answers for it.
func TestStreamOfAGoneClient(t *testing.T) {
	for _, held := range []bool{true, false} {
		inBubble(t, held, func(t *testing.T, d *door) {
			ctx, leave := context.WithCancel(t.Context())
			stream := openStream(t, ctx, d)
			sendVotes(t, stream, 0, 500)
			synctest.Wait()
			leave()
			synctest.Wait()
			if d.waiting() > 0 {
				t.Errorf("%d votes wait for Kafka", d.waiting())
			}
			stopped := time.Now()
			d.server.GracefulStop() // waits for calls
			if time.Since(stopped) > 0 {
				t.Errorf("the stream is over after %v", time.Since(stopped))
			}
		})
	}
}

// A client that sends and does not read is not waited for for ever: its stream
// ends when nothing has moved for a while. What it holds meanwhile is bounded.
func TestStreamOfAClientThatDoesNotRead(t *testing.T) {
	inBubble(t, false, func(t *testing.T, d *door) {
		stream := openStream(t, t.Context(), d)
		var sending sync.WaitGroup
		sending.Go(func() {
			for seq := uint64(0); stream.Send(&request{Seq: seq, Vote: vote("Alux Nahual")}) == nil; seq++ {
			}
		})
		synctest.Wait() // neither side can go on
		taken := len(d.cast)
		if taken > 20_000 { // what may wait, and what the connection holds of their answers
			t.Errorf("%d votes are taken", taken)
		}
		time.Sleep(maxSilence + lastAnswers)
		got, err := answers(t, stream)
		if endedAs(t, err); len(d.cast) != taken || len(got) > taken {
			t.Errorf("then %d votes are taken, %d answered", len(d.cast), len(got))
		}
		sending.Wait()
	})
}

// endedAs checks that a stream was ended by the server, in a way that lets its
// client go on with another.
func endedAs(t *testing.T, err error) {
	t.Helper()
	got := tell(t, status.Convert(err))
	if got.code != codes.Unavailable || got.reason != "UNAVAILABLE" || !got.retry {
		t.Errorf("the stream ends with %v (%+v)", err, got)
	}
}

// A stream on which nothing moves ends, so that the function may sleep; one on
// which votes come now and then does not, but for its bound.
func TestSilentStreamEnds(t *testing.T) {
	inBubble(t, false, func(t *testing.T, d *door) {
		opened := time.Now()
		silent := openStream(t, t.Context(), d)
		sendVotes(t, silent, 0, 1)
		got, err := answers(t, silent)
		endedAs(t, err)
		if over := time.Since(opened); over != maxSilence || len(got) != 1 {
			t.Errorf("after %v there are %d answers", over, len(got))
		}

		opened = time.Now()
		stream := openStream(t, t.Context(), d)
		seen := make(chan uint64, 1)
		go func() {
			got, err := answers(t, stream)
			endedAs(t, err)
			seen <- uint64(len(got))
		}()
		sent := uint64(0)
		for stream.Context().Err() == nil && time.Since(opened) < 2*streamLife {
			if stream.Send(&request{Seq: sent, Vote: vote("Alux Nahual")}) != nil {
				break
			}
			sent++
			time.Sleep(maxSilence - time.Second)
		}
		if n := <-seen; n != sent {
			t.Errorf("%d of %d votes are answered", n, sent)
		}
		if over := time.Since(opened); over < streamLife || over >= streamLife+maxSilence {
			t.Errorf("a stream with votes is over after %v", over)
		}
	})
}

// When the process is told to end, an open stream takes no more votes, answers
// those that it took, and ends at once: the client goes on with another, and the
// drain does not wait for it.
func TestStreamEndsWithTheProcess(t *testing.T) {
	inBubble(t, true, func(t *testing.T, d *door) {
		idle, busy := openStream(t, t.Context(), d), openStream(t, t.Context(), d)
		sendVotes(t, busy, 0, 20)
		synctest.Wait()
		told := time.Now()
		d.end()
		drained := make(chan error, 1)
		go func() { drained <- drain(t.Context(), d.server) }()
		if _, err := answers(t, idle); time.Since(told) > 0 {
			t.Errorf("an idle stream ends after %v with %v", time.Since(told), err)
		} else {
			endedAs(t, err)
		}
		sendVotes(t, busy, 20, 25) // too late
		synctest.Wait()
		time.Sleep(time.Second) // Kafka takes its time
		close(d.hold)
		got, err := answers(t, busy)
		endedAs(t, err)
		for seq := range uint64(20) {
			if got[seq].GetReceipt() == nil {
				t.Errorf("vote %d: %v", seq, got[seq])
			}
		}
		if len(got) != 20 || len(d.cast) != 20 {
			t.Errorf("%d votes are answered, %d cast", len(got), len(d.cast))
		}
		if err := <-drained; err != nil || time.Since(told) != time.Second {
			t.Errorf("drained after %v: %v", time.Since(told), err)
		}
	})
}

// A message that is no request ends its stream, not the server.
func TestUnreadableRequestEndsTheStream(t *testing.T) {
	d := newDoor(t, new(casterTwin))
	stream, err := d.conn.NewStream(t.Context(), &marimbav1.Votes_ServiceDesc.Streams[0], marimbav1.Votes_CastStream_FullMethodName, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(raw("\x12\x7f")); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(int)); status.Code(err) != codes.Internal {
		t.Errorf("the stream ends with %v", err)
	}
	if _, err := d.votes.Cast(t.Context(), vote("Alux Nahual")); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// What a vote costs on a stream over loopback, client and server together.
func BenchmarkStream(b *testing.B) {
	ctx := b.Context()
	server := newServer(&votes{ctx: ctx, desk: desk.New(twoContests, voter.Keys{Secret: "s"}), caster: quick{}, secrets: secrets})
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
	stream, err := marimbav1.NewVotesClient(conn).CastStream(ctx)
	if err != nil {
		b.Fatal(err)
	}
	in := vote("Alux Nahual")
	in.Id, in.Voter = "mine:1", "ana"
	b.ReportAllocs()
	go func() {
		for b.Loop() {
			if stream.Send(&request{Vote: in}) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	for {
		if _, err := stream.Recv(); err != nil {
			break
		}
	}
}
