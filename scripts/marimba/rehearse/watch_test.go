package rehearse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"marimba/scripts/marimba/view"
)

// scene is a house that looks otherwise at each look.
type scene struct {
	final []int64
	lag   []int64
	seen  []map[string]Seen
	looks int
}

func (s *scene) Balance(context.Context, string) (view.Balance, error) {
	return view.Balance{Final: s.final[s.looks]}, nil
}

func (s *scene) Lag(context.Context) (map[string]int64, error) {
	return map[string]int64{"tally": s.lag[s.looks]}, nil
}

func (s *scene) Look(context.Context) (map[string]Seen, error) {
	s.looks++
	if seen := s.seen[s.looks-1]; seen != nil {
		return seen, nil
	}
	return nil, errors.New("nobody answers")
}

// What was there before the rehearsal is not of it; a look that fails leaves a word
// and nothing else; what a process used is added up also when it is gone.
func TestWatchAddsUp(t *testing.T) {
	house := &scene{
		final: []int64{0, 30, 60, 100}, lag: []int64{0, 7, 2, 0},
		seen: []map[string]Seen{
			{"tally": {Starts: 5, Crashes: 1, Retries: 3, Dead: 2, Sources: true, ColdStarts: []float64{9, 9, 9, 9, 9}, Processes: []Process{{"1", 10, 20}}}},
			{"tally": {Starts: 6, Crashes: 1, Retries: 4, Dead: 2, Sources: true, ColdStarts: []float64{9, 9, 9, 9, 9, 0.3}, Processes: []Process{{"1", 11, 25}, {"2", 0.5, 40}}}},
			nil,
			{"tally": {Starts: 7, Crashes: 2, Retries: 4, Dead: 2, Sources: true, ColdStarts: []float64{9, 9, 9, 9, 9, 0.3, 0.2}, Processes: []Process{{"3", 0.25, 30}}}},
		},
	}
	accepted := []int64{0, 100, 100, 100}
	w := &Watch{Contest: "show", Books: house, Eye: house, Lag: house, Accepted: func() int64 { return accepted[house.looks] }}
	w.Begin(t.Context())
	w.look(t.Context())
	w.look(t.Context())
	got := w.End(t.Context())
	retries, dead, cpu, rss := int64(1), int64(0), 1.75, int64(40)
	want := Watched{
		Backlog: 70, Lag: map[string]int64{"tally": 7}, Blind: "nobody answers",
		Functions: []Function{{Name: "tally", Starts: 2, ColdStart: 0.3, AtOnce: 2, Crashes: 1, Retries: &retries, Dead: &dead, CPUSeconds: &cpu, RSS: &rss}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The gateway of a house is asked for its figures, and an answer of somebody
// else's is an error.
func TestHouse(t *testing.T) {
	answer := `{"functions":{"screen":{"starts":2,"retries":1,"cold_start_seconds":[0.2,0.1],"processes":[{"pid":7,"state":"running","cpu_seconds":1.5,"rss_bytes":30}]},"results":{}}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/figures" || answer == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	seen, err := House{server.URL}.Look(t.Context())
	want := Seen{Starts: 2, Retries: 1, Sources: true, ColdStarts: []float64{0.2, 0.1}, Processes: []Process{{"7", 1.5, 30}}}
	if err != nil || !reflect.DeepEqual(seen["screen"], want) || seen["results"].Sources {
		t.Errorf("%+v, %v", seen, err)
	}
	answer = ""
	if _, err := (House{server.URL}).Look(t.Context()); err == nil {
		t.Error("an answer that is none is taken")
	}
}

// Pods are told by kubectl: their functions, how long they took to be ready, and
// how often they failed; those that are gone have still been started.
func TestPods(t *testing.T) {
	dir := t.TempDir()
	kubectl := filepath.Join(dir, "kubectl")
	script := "#!/bin/sh\necho \"$@\" > " + dir + "/args\ncat " + dir + "/answer\n"
	if err := os.WriteFile(kubectl, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	pod := func(name, function, ready, more string) string {
		return `{"metadata":{"name":"` + name + `","creationTimestamp":"2026-11-25T18:00:00Z","labels":{"serving.knative.dev/service":"` + function + `"}` + more + `},
			"status":{"conditions":[{"type":"Ready","status":"` + ready + `","lastTransitionTime":"2026-11-25T18:00:03Z"}],"containerStatuses":[{"restartCount":1}]}}`
	}
	eye := &Pods{Kubectl: kubectl, Namespace: "marimba"}
	for i, step := range []struct {
		pods  []string
		want  Seen
		names []string
	}{
		{[]string{pod("a", "screen", "False", "")}, Seen{Crashes: 1}, []string{"a"}},
		{[]string{pod("a", "screen", "True", ""), pod("b", "screen", "False", "")}, Seen{Crashes: 2, Starts: 1, ColdStarts: []float64{3}}, []string{"a", "b"}},
		{[]string{pod("b", "screen", "True", `,"deletionTimestamp":"2026-11-25T18:01:00Z"`)}, Seen{Crashes: 1, Starts: 2, ColdStarts: []float64{3, 3}}, nil},
	} {
		answer := `{"items":[` + strings.Join(step.pods, ",") + `]}`
		if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(answer), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range step.names {
			step.want.Processes = append(step.want.Processes, Process{name, -1, -1})
		}
		seen, err := eye.Look(t.Context())
		if err != nil || !reflect.DeepEqual(seen["screen"], step.want) {
			t.Errorf("look %d: %+v, %v, want %+v", i, seen["screen"], err, step.want)
		}
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil || string(args) != "get pods --namespace marimba --selector serving.knative.dev/service --output json\n" {
		t.Errorf("kubectl is called with %q, %v", args, err)
	}
	if err := os.WriteFile(kubectl, []byte("#!/bin/sh\necho no cluster >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := eye.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "no cluster") {
		t.Error(err)
	}
}
