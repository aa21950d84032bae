//go:build unix

package real

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"marimba/config"
)

// Redis runs redis-server on a folder, with the settings of config/redis and a
// password that is made here; settings are lines of redis.conf that go before
// those.
func Redis(ctx context.Context, dir string, settings ...string) (*Part, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis: redis-server is %w", ErrMissing)
	}
	if dir, err = makeFolder(dir); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	p := &Part{
		Address:  loopback(port),
		Password: rand.Text(),
		name:     "redis",
		log:      filepath.Join(dir, "redis.log"),
	}
	// The password is in a file, as arguments can be read by anybody here.
	file := filepath.Join(dir, "redis.conf")
	text := strings.Join(append([]string{
		config.RedisSettings,
		"bind 127.0.0.1",
		"port " + strconv.Itoa(port),
		"requirepass " + p.Password,
		"dir " + strconv.Quote(dir),
	}, settings...), "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	p.argv = []string{binary, file}
	p.ask = p.askRedis
	return open(ctx, p)
}

// askRedis asks whether the server has read its data and takes commands.
func (p *Part) askRedis(ctx context.Context) error {
	client := redis.NewClient(&redis.Options{
		Addr: p.Address, Password: p.Password, Protocol: 2, MaxRetries: -1,
		ContextTimeoutEnabled: true,
	})
	defer client.Close() //nolint:errcheck // it was only asked
	return client.Ping(ctx).Err()
}
