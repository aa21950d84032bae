package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"marimba/proto/confproto"
	marimbav1 "marimba/proto/marimba/v1"
)

// Bounds of a connection. A message holds at most CastMany's 10,000 votes. After
// maxAge a connection takes no more calls, and those that run may end: calls of
// every method are bounded by that, not only ours.
const (
	maxMessage    = 4 << 20
	maxStreams    = 1_000
	maxHeaderList = 16 << 10
	maxAge        = 10 * time.Minute
	maxAgeGrace   = streamLife + time.Minute
)

// workers is how many goroutines are kept for calls. A new one has to grow its stack
// three times before it has read a vote, an eighth of what a call costs; calls beyond
// these have new ones all the same.
const workers = 128

// newServer returns a gRPC server with the Votes service, the older getInfo,
// health and reflection.
func newServer(v *votes) *grpc.Server {
	s := grpc.NewServer(
		grpc.WaitForHandlers(true), // what they use is closed after them
		grpc.NumStreamWorkers(workers),
		grpc.UnaryInterceptor(watchCalls),
		grpc.StreamInterceptor(watchStreams),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     5 * time.Minute,
			MaxConnectionAge:      maxAge,
			MaxConnectionAgeGrace: maxAgeGrace,
			Time:                  time.Minute,
			Timeout:               20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Second, PermitWithoutStream: true,
		}),
	)
	marimbav1.RegisterVotesServer(s, v)
	confproto.RegisterGetInfoServer(s, &getInfo{votes: v})
	healthpb.RegisterHealthServer(s, check{health.NewServer()})
	reflection.Register(s)
	return s
}

// check is gRPC's health service without Watch, which would keep the function
// awake for as long as anybody watches it. Clients take that for healthy.
type check struct{ healthpb.HealthServer }

func (check) Watch(*healthpb.HealthCheckRequest, grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	return status.Error(codes.Unimplemented, "the function does not stay awake to be watched")
}

// drain stops the server: clients are told to go elsewhere, calls that run may
// finish within limit, then they are cut off. Streams end by themselves when the
// process is told to end.
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
