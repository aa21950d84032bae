package counts

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"marimba/config"
	"marimba/events"
	"marimba/functions/internal/counts/redistest"
)

// A Redis that lost its scripts is sent them again, in the middle of the work.
func TestScriptsAreSentAgain(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		c := events.Contest{ID: "flush", Shards: 4}
		votes := make([]events.Vote, 40)
		for i := range votes {
			votes[i].Name = "La Tona"
		}
		e := box("a", c.ID, votes...)
		begin(t, s, c)
		var a Answer
		for _, step := range []func() (err error){
			func() (err error) { a, err = s.Count(t.Context(), c, e); return err },
			func() error { return s.Settle(t.Context(), c, e, a, a.Attempt) },
		} {
			if err := s.redis.ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A Redis that is away is an error of each call, and says which step it was.
func TestRedisAway(t *testing.T) {
	s := open(t, "127.0.0.1:1")
	c := events.Contest{ID: "away"}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := s.Count(ctx, c, box("a", c.ID, events.Vote{Name: "La Tona"}))
	if err == nil || !strings.HasPrefix(err.Error(), "count a/accepted: ") {
		t.Errorf("count: %v", err)
	}
	if _, err := s.Tally(ctx, c); err == nil {
		t.Error("tally: no error")
	}
	if _, err := s.Newest(ctx, 1, c); err == nil {
		t.Error("newest: no error")
	}
}

// Each form of address is understood, and no error tells a password.
func TestOpen(t *testing.T) {
	for _, url := range []string{
		"redis://127.0.0.1:6379", "redis://127.0.0.1:6379/3", "rediss://redis.example:6380",
		"10.0.0.1:6379,10.0.0.2:6379, 10.0.0.3:6379", "rediss://10.0.0.1:6379,10.0.0.2:6379",
	} {
		s, err := Open(config.Redis{URL: url, Password: "secret"})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		_, cluster := s.redis.(*redis.ClusterClient)
		if cluster != strings.Contains(url, ",") {
			t.Errorf("%s: cluster %v", url, cluster)
		}
		switch client := s.redis.(type) {
		case *redis.Client:
			o := client.Options()
			if o.Password != "secret" || (o.TLSConfig != nil) != strings.HasPrefix(url, "rediss") || strings.HasSuffix(url, "/3") != (o.DB == 3) {
				t.Errorf("%s: options do not follow", url)
			}
		case *redis.ClusterClient:
			o := client.Options()
			if o.Password != "secret" || (o.TLSConfig != nil) != strings.HasPrefix(url, "rediss") || len(o.Addrs) < 2 {
				t.Errorf("%s: options do not follow", url)
			}
		}
		_ = s.Close(t.Context())
	}
	// A CA of our own is trusted, and it alone, by one name for all members.
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	ca := config.CA(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	s, err := Open(config.Redis{URL: "rediss://redis-0.example:6379,redis-1.example:6379", TLSCA: ca})
	if err != nil {
		t.Fatal(err)
	}
	if tls := s.redis.(*redis.ClusterClient).Options().TLSConfig; tls.ServerName != "redis-0.example" || !tls.RootCAs.Equal(ca.Pool()) {
		t.Errorf("TLS is for %q", tls.ServerName)
	}
	_ = s.Close(t.Context())
	for _, url := range []string{"http://:hunter2@host:1", "redis://:hunter2@host:1/x", "redis://h:1?hunter2=1"} {
		if _, err := Open(config.Redis{URL: url}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// On a Redis Cluster the shards of a contest lie on several servers, and the
// counts are the same.
func TestCluster(t *testing.T) {
	var servers []*redistest.Server
	var addrs []string
	for range 3 {
		r := newServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		servers, addrs = append(servers, r), append(addrs, r.Addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, addr := range addrs {
		node := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
		defer node.Close()
		first, last := i*16384/3, (i+1)*16384/3-1
		if err := node.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", first, last).Err(); err != nil {
			t.Fatal(err)
		}
		host, port, _ := strings.Cut(addrs[0], ":")
		if err := node.ClusterMeet(ctx, host, port).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, strings.Join(addrs, ","))
	for !whole(ctx, addrs) {
		if ctx.Err() != nil {
			t.Fatal("the cluster does not come up")
		}
		time.Sleep(20 * time.Millisecond) // until the servers know each other
	}
	cut := &cutter{}
	s.redis.AddHook(cut)
	for i, limit := range []events.Limit{{Mode: events.NoLimit}, {Mode: events.PerContest, N: 2}, {Mode: events.Replace}} {
		c := events.Contest{ID: fmt.Sprintf("cluster-%d", i), Limit: limit, Shards: 5}
		cut.dice = dice{rand.New(rand.NewPCG(uint64(i), 2))}
		interleave(t, s, c, cut)
	}
	for _, addr := range addrs {
		node := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
		defer node.Close()
		if n, err := node.DBSize(ctx).Result(); err != nil || n == 0 {
			t.Errorf("a server holds %d keys, %v: the shards are not spread", n, err)
		}
	}

	// When one of the servers comes back without what it had, it is noticed, and
	// the contest gets a next life on all of them.
	cut.on = false
	c := events.Contest{ID: "cluster-0", Shards: 5}
	for i, r := range servers {
		r.Kill()
		r.Again()
		for !whole(ctx, addrs) {
			if ctx.Err() != nil {
				t.Fatal("the cluster does not come up again")
			}
			time.Sleep(20 * time.Millisecond) // until the servers know each other
		}
		s := open(t, strings.Join(addrs, ","))
		if _, err := s.Life(ctx, c); !errors.Is(err, ErrLife) {
			t.Errorf("server %d: life: %v", i, err)
		}
		e := box(fmt.Sprint("after-", i), c.ID, make([]events.Vote, 40)...)
		if _, err := s.Count(ctx, c, e); !errors.Is(err, ErrLife) {
			t.Errorf("server %d: count: %v", i, err)
		}
		rebuilt(t, s, c, int64(i+2), []logged{{e, slices.Repeat([]events.State{events.Counted}, 40)}})
		if tally, err := s.Tally(ctx, c); err != nil || tally.Votes() != 40 {
			t.Errorf("server %d: %d votes, %v", i, tally.Votes(), err)
		}
	}
}

// whole reports whether each server knows of all slots.
func whole(ctx context.Context, addrs []string) bool {
	for _, addr := range addrs {
		node := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
		info, err := node.ClusterInfo(ctx).Result()
		_ = node.Close()
		if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
			return false
		}
	}
	return true
}
