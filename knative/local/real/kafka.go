//go:build unix

package real

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// jvm makes a broker of one machine start soon and stay small. Flags that are
// given come after these, and go before them.
var jvm = []string{
	"-Xms64m", "-Xmx512m",
	"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
	"-Djava.awt.headless=true",
	"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
	"-Dorg.slf4j.simpleLogger.showDateTime=true",
	"-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
}

// properties are the broker's settings. It is its own controller (KRaft).
//
// A broker that was killed must be taken back at once, so its session is short.
// Groups wait for nobody when they form: their members are known.
const properties = `process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.quorum.voters=1@%[2]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%[3]s
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=4194304
`

// Kafka runs Apache Kafka, one broker, on a folder; flags are added to the
// JVM's. It takes the jars of MARIMBA_KAFKA, a folder, or of the one that
// scripts/kafka/fetch fills by default.
func Kafka(ctx context.Context, dir string, flags ...string) (*Part, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("kafka: java is %w", ErrMissing)
	}
	jars, err := kafkaJars()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if dir, err = makeFolder(dir); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	controller, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	settings := filepath.Join(dir, "server.properties")
	data := filepath.Join(dir, "data")
	text := fmt.Sprintf(properties, loopback(port), loopback(controller), data)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	command := slices.Concat([]string{java}, jvm, flags, []string{"-cp", filepath.Join(jars, "*")})
	p := &Part{
		Address: loopback(port),
		name:    "kafka",
		log:     filepath.Join(dir, "kafka.log"),
		argv:    append(slices.Clip(command), "kafka.Kafka", settings),
	}
	p.ask = func(ctx context.Context) error { return askKafka(ctx, p.Address) }
	if err := format(ctx, command, data, settings); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return open(ctx, p)
}

// kafkaJars is the folder of Kafka's jars.
func kafkaJars() (string, error) {
	dir := os.Getenv("MARIMBA_KAFKA")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".cache", "marimba", "kafka-4.1.0")
	}
	found, err := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar"))
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("its jars are %w: scripts/kafka/fetch brings them to %s", ErrMissing, dir)
	}
	return dir, nil
}

// format prepares a new data folder, as a broker asks for. One that is prepared
// stays as it is.
func format(ctx context.Context, command []string, data, settings string) error {
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails
	cluster := base64.RawURLEncoding.EncodeToString(id[:])
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	argv := append(slices.Clip(command), "kafka.tools.StorageTool", "format", "--cluster-id="+cluster, "--config", settings)
	tool := exec.CommandContext(ctx, argv[0], argv[1:]...)
	tool.Env = environment()
	if out, err := tool.CombinedOutput(); err != nil {
		return fmt.Errorf("format: %w: %s", err, out)
	}
	return nil
}

// askKafka asks whether the broker has joined its own cluster, and so takes
// topics and records.
func askKafka(ctx context.Context, address string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return err
	}
	if len(brokers) == 0 {
		return errors.New("it has not joined its cluster yet")
	}
	return nil
}
