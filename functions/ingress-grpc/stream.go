package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"

	"marimba/events"
	marimbav1 "marimba/proto/marimba/v1"
)

// maxUnanswered bounds the votes of one stream that wait for Kafka. Past it the
// server stops reading, and HTTP/2's flow control makes the client wait.
const maxUnanswered = 1_000

// CastStream takes votes as they come and answers for each when Kafka has it.
// It ends when the client has sent its last vote and every vote is answered.
func (s *votes) CastStream(stream grpc.BidiStreamingServer[marimbav1.CastStreamRequest, marimbav1.CastStreamReply]) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	room := make(chan struct{}, maxUnanswered)
	replies := make(chan *marimbav1.CastStreamReply, maxUnanswered)
	sent := make(chan error, 1)
	go func() { sent <- reply(stream, replies, room, cancel) }()

	var casting sync.WaitGroup
	received := s.receive(ctx, stream, func(in *marimbav1.CastStreamRequest) bool {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		casting.Go(func() {
			// replies has a place for every vote in the room, so this never waits for a
			// client that does not read.
			replies <- &marimbav1.CastStreamReply{Seq: in.GetSeq(), Result: s.castOne(ctx, in.GetVote())}
		})
		return true
	})
	casting.Wait()
	close(replies)
	return errors.Join(received, <-sent)
}

// receive hands each request to take until the client is done or take says no.
func (s *votes) receive(ctx context.Context, stream grpc.BidiStreamingServer[marimbav1.CastStreamRequest, marimbav1.CastStreamReply], take func(*marimbav1.CastStreamRequest) bool) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !take(in) {
			return ctx.Err()
		}
	}
}

// reply sends what comes out of replies; a vote leaves the room when its reply
// is on its way. When the client is gone it goes on reading, so that nobody
// waits for it.
func reply(stream grpc.BidiStreamingServer[marimbav1.CastStreamRequest, marimbav1.CastStreamReply], replies <-chan *marimbav1.CastStreamReply, room <-chan struct{}, gone context.CancelFunc) error {
	var failed error
	for r := range replies {
		if failed == nil {
			if failed = stream.Send(r); failed != nil {
				gone()
			}
		}
		<-room
	}
	return failed
}

// castOne is Cast, with its outcome as data.
func (s *votes) castOne(ctx context.Context, in *marimbav1.Vote) *marimbav1.CastResult {
	contest, v, no := s.desk.Admit(new(events.Reading), ballot(in))
	if no != nil {
		return refused(refusal(ctx, no))
	}
	one := []events.Vote{v}
	receipts, err := s.caster.Cast(ctx, contest, events.ByGRPC, one)
	if err != nil {
		return refused(unavailable(ctx, err, one[0].ID))
	}
	return accepted(receipt(contest, receipts[0]))
}
