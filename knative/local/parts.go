//go:build unix

package local

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// partTimeout bounds the wait for Kafka, Redis or MongoDB to answer.
const partTimeout = 20 * time.Second

// Addresses say where the parts are that functions talk to.
type Addresses struct {
	Kafka         string // host:port, or several with commas
	Redis         string // redis://host:port
	RedisPassword string
	Mongo         string // mongodb://host:port
}

// parts are Kafka, Redis and MongoDB: embedded ones, and those that were given.
type parts struct {
	Addresses
	kafka *kfake.Cluster
	redis *miniredis.Miniredis
	aging context.CancelFunc // of what makes redis's keys age
	mongo *guardian
}

// openParts starts the parts that no address is given for, and waits until all
// answer.
func openParts(ctx context.Context, o Options, st *state, n *nursery, log *slog.Logger) (*parts, error) {
	p := &parts{Addresses: Addresses{o.Kafka, withScheme("redis", o.Redis), o.RedisPassword, withScheme("mongodb", o.Mongo)}}
	if err := p.start(o, st, n, log); err != nil {
		p.close(ctx)
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	answers, ctx := errgroup.WithContext(ctx)
	answers.Go(func() error { return reach(ctx, "Kafka", hosts(p.Kafka, "9092")) })
	answers.Go(func() error { return reach(ctx, "Redis", hosts(p.Redis, "6379")) })
	if !strings.HasPrefix(p.Mongo, "mongodb+srv:") { // those hosts only the DNS knows
		answers.Go(func() error { return reach(ctx, "MongoDB", hosts(p.Mongo, "27017")) })
	}
	if err := answers.Wait(); err != nil {
		p.close(ctx)
		return nil, err
	}
	return p, nil
}

func (p *parts) start(o Options, st *state, n *nursery, log *slog.Logger) error {
	if p.Mongo == "" {
		port, err := st.port("mongo")
		if err != nil {
			return err
		}
		address := net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
		p.mongo, err = guard(o.Data, n, log, filepath.Join(o.Bin, "ferretdb"), "--listen", address, "--data", filepath.Join(o.Data, "mongo"))
		if err != nil {
			return err
		}
		p.Mongo = "mongodb://" + address + "/"
	}
	if p.Kafka == "" {
		var err error
		p.kafka, err = kfake.NewCluster(
			kfake.NumBrokers(1),
			kfake.DataDir(filepath.Join(o.Data, "kafka")),
			kfake.ListenFn(func(string, string) (net.Listener, error) { return st.listen("kafka") }),
		)
		if err != nil {
			return fmt.Errorf("start embedded Kafka: %w", err)
		}
		p.Kafka = p.kafka.ListenAddrs()[0]
	}
	if p.Redis == "" {
		if p.RedisPassword == "" {
			p.RedisPassword = st.secret("REDIS_PASSWORD")
		}
		p.redis = miniredis.NewMiniRedis()
		p.redis.RequireAuth(p.RedisPassword)
		if err := st.bind("redis", func(address string) (int, error) {
			if err := p.redis.StartAddr(address); err != nil {
				return 0, err
			}
			return strconv.Atoi(p.redis.Port())
		}); err != nil {
			p.redis = nil
			return fmt.Errorf("start embedded Redis: %w", err)
		}
		p.Redis = "redis://" + p.redis.Addr()
		aging, end := context.WithCancel(context.Background())
		p.aging = end
		go age(aging, p.redis)
	}
	return nil
}

// ageEvery is how often the keys of the embedded Redis age.
const ageEvery = 10 * time.Second

// age lets keys with a life span end. miniredis has a clock for that, but with
// it looks through all keys at each command: a box of votes then takes seconds.
func age(ctx context.Context, r *miniredis.Miniredis) {
	for sleep(ctx, ageEvery) {
		r.FastForward(ageEvery)
	}
}

// close ends the embedded parts; Kafka writes its last state to the data folder.
func (p *parts) close(ctx context.Context) {
	if p.redis != nil {
		p.aging()
		p.redis.Close()
	}
	if p.mongo != nil {
		p.mongo.close(ctx)
	}
	if p.kafka != nil {
		p.kafka.Close()
	}
}

// makeTopics creates the topics that are missing. On fewer brokers than the
// manifest has replicas, a topic gets as many as there are.
func makeTopics(ctx context.Context, brokers string, topics []topic) error {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	client, err := kgo.NewClient(seeds(brokers))
	if err != nil {
		return fmt.Errorf("open Kafka: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	there, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	nodes, err := admin.ListBrokers(ctx)
	if err != nil {
		return fmt.Errorf("list brokers: %w", err)
	}
	for _, t := range topics {
		if there.Has(t.name) {
			continue
		}
		replicas := max(1, min(t.replicas, int16(len(nodes))))
		config := map[string]*string{}
		for key, value := range t.config {
			if key == "min.insync.replicas" && replicas < t.replicas {
				continue // with fewer replicas it could never be met
			}
			config[key] = &value
		}
		if _, err := admin.CreateTopic(ctx, t.partitions, replicas, config, t.name); err != nil {
			return fmt.Errorf("create topic %s: %w", t.name, err)
		}
	}
	return nil
}

// reach waits until something listens on one of the addresses.
func reach(ctx context.Context, name string, addresses []string) error {
	var dialer net.Dialer
	for n := 0; ; n++ {
		address := addresses[n%len(addresses)]
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return fmt.Errorf("%s does not answer at %s: %w", name, address, err)
		}
	}
}

// seeds are the addresses in a list with commas.
func seeds(brokers string) kgo.Opt { return kgo.SeedBrokers(hosts(brokers, "9092")...) }

func withScheme(scheme, address string) string {
	if address == "" || strings.Contains(address, "://") {
		return address
	}
	return scheme + "://" + address
}

// hosts returns the host:port of a URL or of a list with commas, which may be
// in a URL too. port is for those that have none.
func hosts(address, port string) []string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	if end := strings.IndexAny(address, "/?"); end >= 0 {
		address = address[:end]
	}
	address = address[strings.LastIndexByte(address, '@')+1:]
	var out []string
	for host := range strings.SplitSeq(address, ",") {
		host = strings.TrimSpace(host)
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		out = append(out, host)
	}
	return out
}

// guardian keeps a process running that is not a function: it starts it anew
// when it ends.
type guardian struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func guard(data string, n *nursery, log *slog.Logger, binary string, args ...string) (*guardian, error) {
	program := filepath.Base(binary)
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("find %s: %w", program, err)
	}
	output, err := openLog(filepath.Join(data, "log", program+".log"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &guardian{cancel, make(chan struct{})}
	go func() {
		defer close(g.done)
		defer output.close()
		for failures := 0; ; failures++ {
			c, err := n.start(binary, args, environment(), output)
			if err == nil {
				select {
				case <-c.exited:
					err = fmt.Errorf("process %d ended: %v: %s", c.pid, c.err, output.last())
				case <-ctx.Done():
					c.stop(context.Background(), stopAfter)
					return
				}
				if time.Since(c.started) > soon {
					failures = 0
				}
			}
			log.Error("part failed", "part", program, "error", err)
			if !sleep(ctx, min(minBackoff<<min(failures, 10), maxBackoff)) {
				return
			}
		}
	}()
	return g, nil
}

// close ends the process and waits for it, but not longer than ctx.
func (g *guardian) close(ctx context.Context) {
	g.cancel()
	select {
	case <-g.done:
	case <-ctx.Done():
	}
}
