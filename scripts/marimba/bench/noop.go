package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"marimba/events/seal"
	marimbav1 "marimba/proto/marimba/v1"
)

// The servers that do nothing: what a door would cost that neither reads, judges
// nor keeps a vote. They answer what the doors answer.

// serving are the servers by name.
var serving = map[string]func(ctx context.Context, lis net.Listener) error{
	"no-op-grpc": serveNoGRPC,
	"no-op-http": serveNoHTTP,
	"log-store":  serveAcknowledging,
}

// serve runs one of the servers on a free port, says where on a line, and ends with
// its standard input: so it never outlives who started it.
func serve(ctx context.Context, name string) error {
	run, ok := serving[name]
	if !ok {
		return fmt.Errorf("no server %q", name)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(lis.Addr())
	if err := run(ctx, lis); err != nil {
		return fmt.Errorf("serve %s: %w", name, err)
	}
	return nil
}

// What an answer of gRPC holds beside texts.
var (
	noTime       = timestamppb.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	noSecret     seal.Secret
	noCommitment seal.Hash
)

type noVotes struct {
	marimbav1.UnimplementedVotesServer
}

func (noVotes) Cast(_ context.Context, in *marimbav1.Vote) (*marimbav1.Receipt, error) {
	return &marimbav1.Receipt{
		Id: in.GetId(), Status: "accepted", Contest: contest, Receipt: "00000000-0000-7000-8000-000000000000.0",
		ReceivedAt: noTime, Secret: noSecret[:], Commitment: noCommitment[:],
	}, nil
}

func serveNoGRPC(ctx context.Context, lis net.Listener) error {
	server := grpc.NewServer()
	marimbav1.RegisterVotesServer(server, noVotes{})
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	return server.Serve(lis)
}

// maxNoBody bounds a body that is thrown away.
const maxNoBody = 16 << 20

func serveNoHTTP(ctx context.Context, lis net.Listener) error {
	const receipt = `{"id":"00000000-0000-7000-8000-000000000000","status":"accepted","contest":"` + contest +
		`","receipt":"00000000-0000-7000-8000-000000000000.0","received_at":"2026-01-01T00:00:00.000Z"` +
		`,"secret":"AAAAAAAAAAAAAAAAAAAAAA","commitment":"0000000000000000000000000000000000000000000000000000000000000000"}` + "\n"
	server := &http.Server{
		ReadHeaderTimeout: answerTimeout,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, req.Body, maxNoBody)); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, receipt)
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
