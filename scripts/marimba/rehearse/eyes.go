package rehearse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"marimba/events"
	"marimba/knative/local"
)

// Bounds of a look.
const (
	lookTimeout = 10 * time.Second
	maxLook     = 32 << 20
)

// House is the eye on a house of `marimba up`, by its gateway's own address.
type House struct{ Gateway string }

// Look asks the gateway.
func (h House) Look(ctx context.Context) (map[string]Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Gateway+local.FiguresPath, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("look at the house: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("look at the house: status %d", res.StatusCode)
	}
	var shown local.Shown
	if err := json.NewDecoder(io.LimitReader(res.Body, maxLook)).Decode(&shown); err != nil {
		return nil, fmt.Errorf("look at the house: %w", err)
	}
	seen := make(map[string]Seen)
	for name, f := range shown.Functions {
		s := Seen{Starts: f.Starts, Crashes: f.Crashes, Retries: f.Retries, Dead: f.Dead, ColdStarts: f.ColdStarts}
		route, _ := events.RouteOf(name)
		s.Sources = len(route.Reads) > 0
		for _, p := range f.Processes {
			s.Processes = append(s.Processes, Process{Name: fmt.Sprint(p.PID), CPU: p.CPU, RSS: p.RSS})
		}
		seen[name] = s
	}
	return seen, nil
}

// Pods is the eye on a cluster: what kubectl tells of the functions' pods. It
// remembers the pods that it saw, as those of before are not told.
type Pods struct {
	Kubectl   string // the program
	Namespace string

	known map[string]string    // function by pod
	took  map[string][]float64 // starts by function, in seconds; pods tell whole ones
}

// Look asks kubectl for the pods.
func (p *Pods) Look(ctx context.Context) (map[string]Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Kubectl, "get", "pods", "--namespace", p.Namespace, "--selector", "serving.knative.dev/service", "--output", "json")
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("look at the pods: %w: %s", err, bytes.TrimSpace(fault.Bytes()))
	}
	var list struct{ Items []pod }
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		return nil, fmt.Errorf("look at the pods: %w", err)
	}
	if p.known == nil {
		p.known, p.took = map[string]string{}, map[string][]float64{}
	}
	seen := make(map[string]Seen)
	for _, pod := range list.Items {
		function := pod.Metadata.Labels["serving.knative.dev/service"]
		s := seen[function]
		if pod.Metadata.DeletionTimestamp == nil {
			s.Processes = append(s.Processes, Process{Name: pod.Metadata.Name, CPU: -1, RSS: -1})
		}
		for _, c := range pod.Status.ContainerStatuses {
			s.Crashes += c.RestartCount
		}
		seen[function] = s
		if _, old := p.known[pod.Metadata.Name]; old {
			continue
		}
		if ready, ok := pod.ready(); ok {
			p.known[pod.Metadata.Name] = function
			p.took[function] = append(p.took[function], ready.Sub(pod.Metadata.CreationTimestamp).Seconds())
		}
	}
	for function, took := range p.took {
		s := seen[function]
		s.Starts, s.ColdStarts = int64(len(took)), slices.Clone(took)
		seen[function] = s
	}
	return seen, nil
}

// pod is what is read of a pod.
type pod struct {
	Metadata struct {
		Name              string
		Labels            map[string]string
		CreationTimestamp time.Time
		DeletionTimestamp *time.Time
	}
	Status struct {
		Conditions []struct {
			Type, Status       string
			LastTransitionTime time.Time
		}
		ContainerStatuses []struct{ RestartCount int64 }
	}
}

// ready says since when the pod takes requests, if it does.
func (p pod) ready() (time.Time, bool) {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" && c.Status == "True" {
			return c.LastTransitionTime, true
		}
	}
	return time.Time{}, false
}

// Sources tells the lag of the KafkaSources, by Kafka itself.
type Sources struct{ admin *kadm.Client }

// OpenSources opens Kafka at host:port, or several with commas. The caller must
// close it.
func OpenSources(brokers string) (*Sources, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.ClientID("marimba-rehearse"))
	if err != nil {
		return nil, fmt.Errorf("open Kafka: %w", err)
	}
	return &Sources{kadm.NewClient(client)}, nil
}

// Close closes the connections.
func (s *Sources) Close() { s.admin.Close() }

// Lag asks for how far each source's group has committed. A source commits now and
// then: what is younger than that is behind too.
func (s *Sources) Lag(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	functions := make(map[string]string)
	var groups []string
	for _, route := range events.Routes {
		if len(route.Reads) > 0 {
			group := events.GroupOf(route.Function)
			functions[group] = route.Function
			groups = append(groups, group)
		}
	}
	lags, err := s.admin.Lag(ctx, groups...)
	if err != nil {
		return nil, fmt.Errorf("ask Kafka for the lag: %w", err)
	}
	out := make(map[string]int64)
	for group, lag := range lags {
		if err := lag.Error(); err != nil {
			return nil, fmt.Errorf("ask Kafka for the lag of %s: %w", group, err)
		}
		out[functions[group]] = lag.Lag.Total()
	}
	return out, nil
}
