package knative

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	appsv1 "k8s.io/api/apps/v1"
)

const (
	redisPassword   = "0123456789abcdefghijklmnopqrstuv"
	grafanaPassword = "vutsrqponmlkjihgfedcba9876543210"
	redisDomain     = ".redis.marimba.svc.cluster.local"
)

// member is a redis-server with the settings that overlay production gives it.
type member struct {
	name, ip, dir string
	port          int
	process       *exec.Cmd
}

func (m *member) address() string { return net.JoinHostPort(m.ip, strconv.Itoa(m.port)) }

// fleet is the members, and what is the same for all.
type fleet struct {
	t       *testing.T
	dir     string // certificate, hosts, and a folder for each member
	members []*member
	trusted *x509.CertPool
	prepare string // what the init container runs
}

// start runs a member by server.conf, as its pod does; only paths, address and
// the time after which a member counts as lost are this test's.
func (f *fleet) start(m *member) {
	f.t.Helper()
	settings, err := filepath.Abs("../config/redis/redis.conf")
	if err != nil {
		f.t.Fatal(err)
	}
	auth, overlay := filepath.Join(m.dir, "auth.conf"), filepath.Join(m.dir, "overlay.conf")
	host, _, _ := strings.Cut(m.name, ".")
	prepare := exec.Command("sh", "-euc", "hostname() { echo "+host+"; }\n"+strings.ReplaceAll(f.prepare, "/run/redis/auth.conf", auth))
	prepare.Env = []string{"PATH=" + os.Getenv("PATH"), "POD_IP=" + m.ip, "REDIS_PASSWORD=" + redisPassword, "GRAFANA_PASSWORD=" + grafanaPassword}
	if out, err := prepare.CombinedOutput(); err != nil {
		f.t.Fatalf("prepare: %v\n%s", err, out)
	}
	write(f.t, overlay, replaced(f.t, "overlays/production/redis.conf",
		"tls-port 6379", "tls-port "+strconv.Itoa(m.port), "cluster-node-timeout 5000", "cluster-node-timeout 1000",
		"/etc/redis/tls", f.dir, "/etc/redis/ca/ca.crt", filepath.Join(f.dir, "tls.crt")))
	conf := filepath.Join(m.dir, "server.conf")
	write(f.t, conf, replaced(f.t, "base/redis/server.conf",
		"/etc/redis/settings/redis.conf", settings, "/run/redis/auth.conf", auth, "/etc/redis/server/overlay.conf", overlay,
		"dir /data", "dir "+m.dir, "bind * -::*", "bind "+m.ip))
	m.process = exec.Command("redis-server", conf)
	if err := m.process.Start(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) kill(m *member) {
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
}

// name writes where members are to be found now.
func (f *fleet) name() {
	var hosts strings.Builder
	for _, m := range f.members {
		fmt.Fprintln(&hosts, m.ip, m.name)
	}
	write(f.t, filepath.Join(f.dir, "hosts"), hosts.String())
}

// client speaks to the cluster as the functions do: by TLS, with a password, and
// with one name for all members' certificates.
func (f *fleet) client(user, password string) *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:    []string{f.members[0].address(), f.members[1].address(), f.members[2].address()},
		Protocol: 2, Username: user, Password: password,
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			for _, m := range f.members {
				address = strings.Replace(address, m.name, m.ip, 1)
			}
			return (&tls.Dialer{Config: &tls.Config{RootCAs: f.trusted, ServerName: "redis-0" + redisDomain}}).DialContext(ctx, network, address)
		},
	})
}

// holds tells whether the cluster has all that the test put in.
func (f *fleet) holds() error {
	client := f.client("", redisPassword)
	defer client.Close()
	for i := range 30 {
		if got, err := client.Get(context.Background(), fmt.Sprint("key-", i)).Int(); err != nil || got != i {
			return fmt.Errorf("key-%d is %d: %w", i, got, err)
		}
	}
	return nil
}

// The keeper makes a Redis Cluster with TLS of six members, brings in one that has
// lost its disk, and finds all of them again when each has another address.
func TestKeeper(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("MARIMBA_TEST_REAL") != "" {
			t.Fatal(err)
		}
		t.Skip("redis-server is not installed")
	}
	f := &fleet{t: t, dir: t.TempDir(), prepare: named[appsv1.StatefulSet](t, render(t, "overlays/production"), "redis").Spec.Template.Spec.InitContainers[0].Args[0]}
	f.certify()
	for i := range 6 {
		m := &member{name: fmt.Sprintf("redis-%d"+redisDomain, i), ip: "127.0.0.1", port: busPort(t), dir: filepath.Join(f.dir, strconv.Itoa(i))}
		if err := os.Mkdir(m.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f.members = append(f.members, m)
		f.start(m)
		t.Cleanup(func() { f.kill(m) })
	}
	f.name()
	said := f.keep()

	await(t, said, `{"msg":"the cluster is whole"}`)
	client := f.client("", redisPassword)
	for i := range 30 {
		if err := client.Set(t.Context(), fmt.Sprint("key-", i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.ForEachMaster(t.Context(), replicated); err != nil {
		t.Fatal(err)
	}
	f.looks(client)
	client.Close()

	lost := f.members[0]
	f.kill(lost)
	if err := os.RemoveAll(lost.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(lost.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	await(t, said, `{"msg":"the cluster is not whole"}`)
	f.start(lost)
	await(t, said, fmt.Sprintf(`{"msg":"%s becomes a replica"}`, lost.address()))
	await(t, said, `{"msg":"the cluster is whole"}`)
	if err := f.holds(); err != nil {
		t.Errorf("after a member lost its disk: %v", err)
	}

	for _, m := range f.members {
		f.kill(m)
	}
	await(t, said, `{"msg":"the cluster is not whole"}`)
	for _, m := range f.members {
		m.ip = "127.0.0.2"
		f.start(m)
	}
	f.name()
	await(t, said, `{"msg":"the cluster is whole"}`)
	if err := f.holds(); err != nil {
		t.Errorf("after all had other addresses: %v", err)
	}
}

// looks holds what Grafana's user may: look at the counts, and nothing else.
func (f *fleet) looks(client *redis.ClusterClient) {
	f.t.Helper()
	if err := client.HSet(f.t.Context(), "marimba:{rock:0}:chart", "album", 7).Err(); err != nil {
		f.t.Fatal(err)
	}
	grafana := f.client("grafana", grafanaPassword)
	defer grafana.Close()
	if got, err := grafana.HGetAll(f.t.Context(), "marimba:{rock:0}:chart").Result(); err != nil || got["album"] != "7" {
		f.t.Errorf("Grafana sees %v, %v", got, err)
	}
	for _, command := range [][]any{{"HSET", "marimba:{rock:0}:chart", "album", 8}, {"GET", "key-0"}, {"KEYS", "*"}, {"FLUSHALL"}, {"CONFIG", "GET", "requirepass"}} {
		if err := grafana.Do(f.t.Context(), command...).Err(); !redis.HasErrorPrefix(err, "NOPERM") {
			f.t.Errorf("Grafana asks %v: %v", command, err)
		}
	}
}

// replicated waits until a master's replica has all that the master has now.
func replicated(ctx context.Context, master *redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for behind := int64(-1); ; {
		info, err := master.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		var offset int64
		for line := range strings.Lines(info) {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), "master_repl_offset:"); ok && behind < 0 {
				behind, _ = strconv.ParseInt(text, 10, 64)
			}
			if _, text, ok := strings.Cut(line, "state=online,offset="); ok {
				text, _, _ = strings.Cut(text, ",")
				offset, _ = strconv.ParseInt(text, 10, 64)
			}
		}
		if behind >= 0 && offset >= behind {
			return nil
		}
		time.Sleep(20 * time.Millisecond) // a replica tells how far it is once a second
	}
}

// keep runs the keeper until the test ends, and returns what it says.
func (f *fleet) keep() <-chan string {
	f.t.Helper()
	bin := filepath.Join(f.dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		f.t.Fatal(err)
	}
	// What a cluster's name service answers, from a file.
	getent := filepath.Join(bin, "getent")
	write(f.t, getent, "#!/bin/sh\nawk -v host=\"$2\" '$2 == host' "+filepath.Join(f.dir, "hosts")+"\n")
	if err := os.Chmod(getent, 0o700); err != nil {
		f.t.Fatal(err)
	}
	var names []string
	for _, m := range f.members {
		names = append(names, fmt.Sprint(m.name, ":", m.port))
	}
	keeper := exec.CommandContext(f.t.Context(), "sh", "overlays/production/keeper.sh")
	keeper.Env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "MEMBERS=" + strings.Join(names, " "), "REPLICAS=1", "PAUSE=0.2",
		"CA=" + filepath.Join(f.dir, "tls.crt"), "REDISCLI_AUTH=" + redisPassword,
	}
	keeper.Stderr = os.Stderr
	out, err := keeper.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = keeper.Process.Kill(); _ = keeper.Wait() })
	said := make(chan string, 1000)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	return said
}

// await waits until the keeper says something.
func await(t *testing.T, said <-chan string, want string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-said:
			if t.Log(line); line == want {
				return
			} else if !ok {
				t.Fatal("the keeper ended")
			}
		case <-late:
			t.Fatalf("the keeper does not say %s", want)
		}
	}
}

// certify makes one certificate for all members.
func (f *fleet) certify() {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"*" + redisDomain}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	write(f.t, filepath.Join(f.dir, "tls.crt"), string(text))
	write(f.t, filepath.Join(f.dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	f.trusted = x509.NewCertPool()
	f.trusted.AppendCertsFromPEM(text)
}

// busPort returns a port that is free together with the one on which members of a
// cluster speak to each other, 10,000 above.
func busPort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		n, err := rand.Int(rand.Reader, big.NewInt(10_000))
		if err != nil {
			t.Fatal(err)
		}
		port := 20_000 + int(n.Int64())
		if free(port) && free(port+10_000) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func free(port int) bool {
	lis, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return lis.Close() == nil
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replaced reads a file and puts this test's values in the place of the pod's, each
// of which must be there.
func replaced(t *testing.T, path string, pairs ...string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(text), pairs[i]) {
			t.Fatalf("%s has no %q", path, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(text))
}
