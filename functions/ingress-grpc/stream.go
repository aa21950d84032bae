package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	marimbav1 "marimba/proto/marimba/v1"
)

// Bounds of a stream.
const (
	// maxUnanswered bounds the votes of one stream that wait for Kafka. Past it the
	// server stops reading, and HTTP/2's flow control makes the client wait.
	maxUnanswered = 1_000
	// maxSilence bounds how long a stream stays on which no vote comes and no answer
	// goes: it would keep the function awake for nothing, or its client reads nothing.
	maxSilence = 30 * time.Second
	// streamLife ends a stream before Knative cuts it off (timeoutSeconds).
	streamLife = 9 * time.Minute
	// lastAnswers bounds how long a client may take to read its last answers when the
	// stream ends without having been asked to.
	lastAnswers = 5 * time.Second
)

// Why a stream ends that its client has not ended.
var (
	errSilent = errors.New("nothing moved for " + maxSilence.String())
	errLong   = errors.New("it lasted " + streamLife.String())
	errEnding = errors.New("the server ends")
)

type (
	castStream = grpc.BidiStreamingServer[marimbav1.CastStreamRequest, marimbav1.CastStreamReply]
	request    = marimbav1.CastStreamRequest
	reply      = marimbav1.CastStreamReply
)

// CastStream takes votes as they come and answers for each when Kafka has it.
//
// It ends well when the client has sent its last vote and every vote is answered.
// If the server must end it, or nothing moves on it, it takes no more votes,
// answers those that it took, and ends with UNAVAILABLE: what has no answer may be
// sent again on another stream.
func (s *votes) CastStream(stream castStream) error {
	taking, stop := context.WithCancelCause(stream.Context())
	defer stop(nil)
	defer context.AfterFunc(s.ctx, func() { stop(errEnding) })()
	life := time.AfterFunc(streamLife, func() { stop(errLong) })
	defer life.Stop()
	silence := time.AfterFunc(maxSilence, func() { stop(errSilent) })
	defer silence.Stop()

	room := make(chan struct{}, maxUnanswered)
	replies := make(chan *reply, maxUnanswered)
	sent := make(chan error, 1)
	go func() {
		sent <- send(stream, replies, func(err error) {
			silence.Reset(maxSilence)
			<-room
			if err != nil {
				stop(err)
			}
		})
	}()

	var casting sync.WaitGroup
	failed := take(taking, stream, room, func(in *request) {
		silence.Reset(maxSilence)
		casting.Go(func() {
			// replies has a place for every vote in the room, so this never waits for a
			// client that does not read.
			replies <- &reply{Seq: in.GetSeq(), Result: s.castOne(stream.Context(), in.GetVote())}
		})
	})
	casting.Wait()
	close(replies)
	var unsent error
	select {
	case unsent = <-sent:
	case <-taking.Done():
		select {
		case unsent = <-sent:
		case <-time.After(lastAnswers):
			unsent = status.Error(codes.DeadlineExceeded, "the last answers were not read")
		}
	}
	switch cause := context.Cause(taking); {
	case failed == nil && unsent == nil:
		return nil
	case cause == errSilent, cause == errLong, cause == errEnding:
		return ended(cause).Err()
	case failed != nil:
		return failed
	}
	return unsent
}

// take hands each request to each, for which there is room then, until the client
// is done or taking ends.
func take(taking context.Context, stream castStream, room chan<- struct{}, each func(*request)) error {
	type heard struct {
		in  *request
		err error
	}
	requests := make(chan heard)
	go func() { // Recv ends with the stream, and must not keep it from ending
		for {
			in, err := stream.Recv()
			select {
			case requests <- heard{in, err}:
			case <-taking.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case room <- struct{}{}:
		case <-taking.Done():
			return status.FromContextError(taking.Err()).Err()
		}
		select {
		case next := <-requests:
			switch {
			case errors.Is(next.err, io.EOF):
				return nil
			case next.err != nil:
				return next.err
			}
			each(next.in)
		case <-taking.Done():
			return status.FromContextError(taking.Err()).Err()
		}
	}
}

// send sends what comes out of replies, and says so of each, with what went
// wrong. When the client is gone it goes on reading, so that nobody waits for it.
func send(stream castStream, replies <-chan *reply, said func(error)) error {
	var failed error
	for r := range replies {
		if failed == nil {
			failed = stream.Send(r)
		}
		said(failed)
	}
	return failed
}

// castOne is Cast, with its outcome as data.
func (s *votes) castOne(ctx context.Context, in *marimbav1.Vote) *marimbav1.CastResult {
	receipt, no := s.cast(ctx, in)
	if no != nil {
		return refused(no)
	}
	return accepted(receipt)
}
