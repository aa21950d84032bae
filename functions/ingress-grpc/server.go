package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"marimba/proto/confproto"
	marimbav1 "marimba/proto/marimba/v1"
)

// Bounds of a connection. A message holds at most CastMany's 10,000 votes.
const (
	maxMessage    = 4 << 20
	maxStreams    = 1_000
	maxHeaderList = 16 << 10
)

// newServer returns a gRPC server with the Votes service, the older getInfo,
// health and reflection.
func newServer(v *votes) *grpc.Server {
	s := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 5 * time.Minute,
			Time:              time.Minute,
			Timeout:           20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Second, PermitWithoutStream: true,
		}),
	)
	marimbav1.RegisterVotesServer(s, v)
	confproto.RegisterGetInfoServer(s, &getInfo{votes: v})
	healthpb.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	return s
}

// drain stops the server: calls that run may finish within limit, then they are
// cut off.
func drain(limit context.Context, s *grpc.Server) error {
	done := make(chan struct{})
	go func() { s.GracefulStop(); close(done) }()
	select {
	case <-done:
		return nil
	case <-limit.Done():
		s.Stop()
		<-done
		return limit.Err()
	}
}
