package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	marimbav1 "marimba/proto/marimba/v1"
)

// streams is how many streams the path of that name has. The server lets each have
// a thousand unanswered votes.
const streams = 4

func openGRPC(j job, votes ballots) (path, error) {
	dial := func() (*grpc.ClientConn, error) {
		_, host, ok := strings.Cut(j.Address, "://")
		if !ok {
			host = j.Address
		}
		conn, err := grpc.NewClient("passthrough:///"+strings.TrimSuffix(host, "/"),
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithDisableServiceConfig())
		if err != nil {
			return nil, fmt.Errorf("open gRPC door: %w", err)
		}
		return conn, nil
	}
	if j.Fresh {
		return &freshGRPC{dial, votes}, nil
	}
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	client := marimbav1.NewVotesClient(conn)
	switch j.Path {
	case "grpc-unary":
		return &unary{conn, client, votes}, nil
	case "grpc-batch":
		return &many{conn, client, votes, max(1, j.Batch)}, nil
	}
	return openStreams(conn, client, votes)
}

// unary casts one vote a call.
type unary struct {
	conn   *grpc.ClientConn
	client marimbav1.VotesClient
	votes  ballots
}

func (p *unary) close() error { return p.conn.Close() }

func (p *unary) cast(ctx context.Context, n int) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	receipt, err := p.client.Cast(ctx, p.votes.message(n))
	if err != nil {
		return 0, "", err
	}
	return 1, boxOf(receipt.GetReceipt()), nil
}

// freshGRPC is unary with a connection for each call.
type freshGRPC struct {
	dial  func() (*grpc.ClientConn, error)
	votes ballots
}

func (p *freshGRPC) close() error { return nil }

func (p *freshGRPC) cast(ctx context.Context, n int) (int, string, error) {
	conn, err := p.dial()
	if err != nil {
		return 0, "", err
	}
	defer conn.Close() //nolint:errcheck // it was asked once
	return (&unary{conn, marimbav1.NewVotesClient(conn), p.votes}).cast(ctx, n)
}

// many casts a batch a call.
type many struct {
	conn   *grpc.ClientConn
	client marimbav1.VotesClient
	votes  ballots
	batch  int
}

func (p *many) close() error { return p.conn.Close() }

func (p *many) cast(ctx context.Context, n int) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	in := &marimbav1.CastManyRequest{Votes: make([]*marimbav1.Vote, p.batch)}
	for i := range in.Votes {
		in.Votes[i] = p.votes.message(n*p.batch + i)
	}
	reply, err := p.client.CastMany(ctx, in)
	if err != nil {
		return 0, "", err
	}
	if int(reply.GetAccepted()) != p.batch || len(reply.GetResults()) != p.batch {
		return 0, "", fmt.Errorf("%d of %d votes were accepted", reply.GetAccepted(), p.batch)
	}
	return p.batch, boxOf(reply.GetResults()[p.batch-1].GetReceipt().GetReceipt()), nil
}

// overStreams casts one vote a message on a few streams.
type overStreams struct {
	conn    *grpc.ClientConn
	cancel  context.CancelFunc
	streams []*voteStream
}

func openStreams(conn *grpc.ClientConn, client marimbav1.VotesClient, votes ballots) (path, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &overStreams{conn: conn, cancel: cancel}
	for range streams {
		stream, err := client.CastStream(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open stream: %w", err), p.close())
		}
		s := &voteStream{stream: stream, votes: votes, waiting: make(map[uint64]chan answered)}
		p.streams = append(p.streams, s)
		go s.read()
	}
	return p, nil
}

func (p *overStreams) close() error {
	p.cancel()
	return p.conn.Close()
}

func (p *overStreams) cast(ctx context.Context, n int) (int, string, error) {
	return p.streams[n%len(p.streams)].cast(ctx, n)
}

// voteStream is one stream, and who waits for which answer on it.
type voteStream struct {
	stream grpc.BidiStreamingClient[marimbav1.CastStreamRequest, marimbav1.CastStreamReply]
	votes  ballots
	send   sync.Mutex

	mu      sync.Mutex
	waiting map[uint64]chan answered
	ended   error
}

type answered struct {
	box string
	err error
}

func (s *voteStream) cast(ctx context.Context, n int) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	answer := make(chan answered, 1)
	s.mu.Lock()
	ended := s.ended
	s.waiting[uint64(n)] = answer
	s.mu.Unlock()
	if ended != nil {
		return 0, "", ended
	}
	s.send.Lock()
	err := s.stream.Send(&marimbav1.CastStreamRequest{Seq: uint64(n), Vote: s.votes.message(n)})
	s.send.Unlock()
	if err != nil {
		return 0, "", fmt.Errorf("write stream: %w", err)
	}
	select {
	case a := <-answer:
		return 1, a.box, a.err
	case <-ctx.Done():
		return 0, "", ctx.Err()
	}
}

// read hands answers to those who wait, until the stream ends.
func (s *voteStream) read() {
	for {
		reply, err := s.stream.Recv()
		s.mu.Lock()
		if err != nil {
			s.ended = fmt.Errorf("read stream: %w", err)
			for _, to := range s.waiting {
				to <- answered{err: s.ended}
			}
			clear(s.waiting)
			s.mu.Unlock()
			return
		}
		to := s.waiting[reply.GetSeq()]
		delete(s.waiting, reply.GetSeq())
		s.mu.Unlock()
		if to == nil {
			continue // who waited has given up
		}
		a := answered{box: boxOf(reply.GetResult().GetReceipt().GetReceipt())}
		if reply.GetResult().GetReceipt() == nil {
			a.err = fmt.Errorf("not accepted: %s", reply.GetResult().GetRefusal().GetMessage())
		}
		to <- a
	}
}
