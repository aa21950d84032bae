//go:build unix

package real_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"marimba/knative/local/real"
	"marimba/knative/local/real/realtest"
)

// The test binary is also a process that is killed while it has a part.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PARENT_OF_PART"); dir != "" {
		parent(dir)
		return
	}
	os.Exit(m.Run())
}

// limit bounds what one of these tests waits for.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Whatever a part has confirmed is there after kill -9 and after an orderly
// end, at the same address; and no part answers between.
func TestKeepsWhatItConfirmed(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		open func(*testing.T) *real.Part
		put  func(context.Context, *real.Part, string) error
		have func(context.Context, *real.Part) (string, error)
	}{
		"kafka":    {func(t *testing.T) *real.Part { return realtest.Kafka(t) }, produce, consume},
		"redis":    {func(t *testing.T) *real.Part { return realtest.Redis(t, "appendfsync always") }, push, list},
		"ferretdb": {func(t *testing.T) *real.Part { return realtest.FerretDB(t) }, insert, find},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limit(t)
			p := one.open(t)
			want := ""
			for i, end := range []func() error{
				func() error { p.Kill(); return nil },
				func() error { return p.Stop(ctx) },
			} {
				word := strconv.Itoa(i)
				if err := one.put(ctx, p, word); err != nil {
					t.Fatal(err)
				}
				want += word
				if err := end(); err != nil {
					t.Fatal(err)
				}
				if p.PID() != 0 {
					t.Errorf("process %d after the end", p.PID())
				}
				if conn, err := net.Dial("tcp", p.Address); err == nil {
					conn.Close()
					t.Error("somebody listens after the end")
				}
				start := time.Now()
				if err := p.Start(ctx); err != nil {
					t.Fatal(err)
				}
				t.Logf("started in %s", time.Since(start).Round(time.Millisecond))
				if got, err := one.have(ctx, p); err != nil || got != want {
					t.Fatalf("after the start: %q, %v; want %q", got, err, want)
				}
			}
			if err := p.Start(ctx); err == nil {
				t.Error("a part that runs was started once more")
			}
		})
	}
}

func produce(ctx context.Context, p *real.Part, word string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Address))
	if err != nil {
		return err
	}
	defer client.Close()
	if word == "0" {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, 1, 1, nil, "words"); err != nil {
			return err
		}
	}
	return client.ProduceSync(ctx, &kgo.Record{Topic: "words", Value: []byte(word)}).FirstErr()
}

func consume(ctx context.Context, p *real.Part) (string, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(p.Address), kgo.ConsumeTopics("words"))
	if err != nil {
		return "", err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, "words")
	if err != nil {
		return "", err
	}
	end, _ := ends.Lookup("words", 0)
	var words strings.Builder
	for n := int64(0); n < end.Offset; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return "", err
		}
		fetches.EachRecord(func(r *kgo.Record) { words.Write(r.Value); n++ })
	}
	return words.String(), ctx.Err()
}

func redisOf(p *real.Part) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: p.Address, Password: p.Password, Protocol: 2, MaxRetries: -1})
}

func push(ctx context.Context, p *real.Part, word string) error {
	client := redisOf(p)
	defer client.Close()
	return client.RPush(ctx, "words", word).Err()
}

func list(ctx context.Context, p *real.Part) (string, error) {
	client := redisOf(p)
	defer client.Close()
	words, err := client.LRange(ctx, "words", 0, -1).Result()
	return strings.Join(words, ""), err
}

func mongoOf(p *real.Part) (*mongo.Client, error) {
	return mongo.Connect(options.Client().ApplyURI("mongodb://" + p.Address + "/"))
}

func insert(ctx context.Context, p *real.Part, word string) error {
	client, err := mongoOf(p)
	if err != nil {
		return err
	}
	defer client.Disconnect(ctx)
	_, err = client.Database("test").Collection("words").InsertOne(ctx, bson.M{"_id": word})
	return err
}

func find(ctx context.Context, p *real.Part) (string, error) {
	client, err := mongoOf(p)
	if err != nil {
		return "", err
	}
	defer client.Disconnect(ctx)
	found, err := client.Database("test").Collection("words").Find(ctx, bson.M{}, options.Find().SetSort(bson.M{"_id": 1}))
	if err != nil {
		return "", err
	}
	var words []struct {
		ID string `bson:"_id"`
	}
	err = found.All(ctx, &words)
	text := ""
	for _, w := range words {
		text += w.ID
	}
	return text, err
}

// Redis runs with the settings of config/redis, and lets nobody in without the
// password.
func TestRedisSettings(t *testing.T) {
	t.Parallel()
	ctx := limit(t)
	p := realtest.Redis(t)
	client := redisOf(p)
	defer client.Close()
	for name, want := range map[string]string{
		"appendonly": "yes", "maxmemory-policy": "noeviction", "set-max-intset-entries": "1024", "save": "",
	} {
		if got := client.ConfigGet(ctx, name).Val()[name]; got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	stranger := redis.NewClient(&redis.Options{Addr: p.Address, Protocol: 2, MaxRetries: -1})
	defer stranger.Close()
	if err := stranger.Ping(ctx).Err(); !redis.HasErrorPrefix(err, "NOAUTH") {
		t.Errorf("without the password: %v", err)
	}
}

// A part that cannot start says why, at once, in the words of its program.
func TestDoesNotStart(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		realtest.Missing(t, err)
	}
	p, err := real.Redis(limit(t), t.TempDir(), "no-such-setting 1")
	if p != nil || err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("%v, %v", p, err)
	}
}

// What is not on the machine is told by name, and is ErrMissing.
func TestMissing(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("MARIMBA_KAFKA", empty)
	if _, err := exec.LookPath("java"); err == nil {
		if _, err := real.Kafka(limit(t), t.TempDir()); !errors.Is(err, real.ErrMissing) || !strings.Contains(err.Error(), empty) {
			t.Errorf("kafka without jars: %v", err)
		}
	}
	if _, err := real.FerretDB(limit(t), t.TempDir(), empty+"/ferretdb"); !errors.Is(err, real.ErrMissing) {
		t.Errorf("ferretdb: %v", err)
	}
	t.Setenv("PATH", empty)
	if _, err := real.Redis(limit(t), t.TempDir()); !errors.Is(err, real.ErrMissing) {
		t.Errorf("redis: %v", err)
	}
	if _, err := real.Kafka(limit(t), t.TempDir()); !errors.Is(err, real.ErrMissing) || !strings.Contains(err.Error(), "java") {
		t.Errorf("kafka without java: %v", err)
	}
}

// parent has a part, tells its process, and waits to be killed.
func parent(dir string) {
	p, err := real.Redis(context.Background(), dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
