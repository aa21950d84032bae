package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/desk"
	"marimba/functions/internal/publish"
	"marimba/functions/internal/voter"
	marimbav1 "marimba/proto/marimba/v1"
)

// casterTwin is a caster in memory.
type casterTwin struct {
	mu   sync.Mutex
	cast []events.Vote
	away map[string]error // by contest
	hold chan struct{}    // if set, each vote waits for an entry, or until it is closed
	at   int              // votes that wait
	most int              // that ever waited
	n    int
}

var received = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func (c *casterTwin) Cast(ctx context.Context, contest string, channel events.Channel, votes []events.Vote) ([]publish.Receipt, error) {
	if channel != events.ByGRPC {
		return nil, fmt.Errorf("channel is %s", channel)
	}
	for i := range votes {
		c.mu.Lock()
		if c.n++; votes[i].ID == "" {
			votes[i].ID = fmt.Sprint("made-", c.n)
		}
		c.mu.Unlock()
	}
	if err := c.wait(ctx, len(votes)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.away[contest]; err != nil {
		return nil, err
	}
	receipts := make([]publish.Receipt, len(votes))
	for i, v := range votes {
		receipts[i] = publish.Receipt{ID: v.ID, Receipt: events.Receipt("box-"+contest, len(c.cast)), At: received}
		c.cast = append(c.cast, v)
	}
	return receipts, nil
}

func (c *casterTwin) wait(ctx context.Context, n int) error {
	if c.hold == nil {
		return nil
	}
	c.mu.Lock()
	c.at += n
	c.most = max(c.most, c.at)
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.at -= n
		c.mu.Unlock()
	}()
	select {
	case <-c.hold:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", publish.ErrUnavailable, ctx.Err())
	}
}

// waiting is how many votes wait now.
func (c *casterTwin) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

type roll []events.Contest

func (r roll) Contest(id string) (events.Contest, bool) {
	i := slices.IndexFunc(r, func(c events.Contest) bool { return c.ID == id })
	if i < 0 {
		return events.Contest{}, false
	}
	return r[i], true
}

func (r roll) IDs() []string {
	var ids []string
	for _, c := range r {
		ids = append(ids, c.ID)
	}
	return ids
}

var secrets = seal.NewSecrets([]byte("another secret"))

var twoContests = roll{
	{ID: "default", OpenRoster: true, RankMax: events.MaxRank, YearMin: 1900},
	{ID: "rock", RankMax: 1000, YearMin: 1900, Bands: []events.Band{{Name: "Trébol", Albums: []events.Album{{Title: "Conquista"}}}}},
}

// door is a server of votes and a client of it.
type door struct {
	*casterTwin
	votes  marimbav1.VotesClient
	conn   *grpc.ClientConn
	server *grpc.Server
	end    context.CancelFunc // tells the process to end
}

// newDoor opens the door of some contests; of two if none are given.
func newDoor(t testing.TB, c caster, contests ...events.Contest) *door {
	t.Helper()
	if contests == nil {
		contests = twoContests
	}
	ctx, end := context.WithCancel(context.Background())
	lis := bufconn.Listen(1 << 16)
	d := &door{end: end, server: newServer(&votes{ctx: ctx, desk: desk.New(roll(contests), voter.Keys{Secret: "s"}), caster: c, secrets: secrets})}
	d.casterTwin, _ = c.(*casterTwin)
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///door", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	d.conn, d.votes = conn, marimbav1.NewVotesClient(conn)
	t.Cleanup(func() {
		end()
		conn.Close()
		d.server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return d
}

// asking asks for a language.
func asking(ctx context.Context, language string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "accept-language", language)
}

func vote(name string) *marimbav1.Vote {
	return &marimbav1.Vote{Name: name, Album: "Conquista", Year: "1982", Rank: "2"}
}

// told is what a status tells.
type told struct {
	code        codes.Code
	reason      string // of ErrorInfo
	values      map[string]string
	field       string // of BadRequest
	fieldReason string
	lang, text  string // of LocalizedMessage
	retry       bool   // there is a RetryInfo
}

func tell(t *testing.T, s *status.Status) told {
	t.Helper()
	out := told{code: s.Code()}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != domain {
				t.Errorf("domain is %q", d.GetDomain())
			}
			out.reason, out.values = d.GetReason(), d.GetMetadata()
		case *errdetails.BadRequest:
			out.field, out.fieldReason = d.GetFieldViolations()[0].GetField(), d.GetFieldViolations()[0].GetReason()
			if d.GetFieldViolations()[0].GetDescription() == "" {
				t.Error("a field is not described")
			}
		case *errdetails.LocalizedMessage:
			out.lang, out.text = d.GetLocale(), d.GetMessage()
		case *errdetails.RetryInfo:
			out.retry = true
		default:
			t.Errorf("detail is %v", d)
		}
	}
	return out
}

// refusedAs checks that a status is a refusal with a code of ours, with all that
// one tells.
func refusedAs(t *testing.T, s *status.Status, code codes.Code, reason events.Code, field string) {
	t.Helper()
	got := tell(t, s)
	want := strings.ToUpper(string(reason))
	if got.code != code || got.reason != want || got.field != field || got.field != "" && got.fieldReason != want ||
		got.lang != "es" || got.text == "" || strings.Contains(got.text, "<no value>") || got.retry {
		t.Errorf("told is %+v, want %v %s %q; %v", got, code, want, field, s)
	}
}
