package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"marimba/events"
	"marimba/knative/local/real/realtest"
)

// shownWithin is how long a panel may take to show something.
const shownWithin = 2 * time.Minute

// Every query of the dashboards, and every rule of Prometheus, is run on a real
// redis-server and a real Prometheus while votes flow through a house, and while
// the faults happen that some of them are there to show. A panel that shows
// nothing then fails the test. The queries for Redis are run by a user who may do
// no more than the data source's file says.
func TestDashboardsShowSomething(t *testing.T) {
	t.Parallel() // it waits more than it works
	if _, err := exec.LookPath("prometheus"); err != nil {
		realtest.Missing(t, err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("it finds the processes of a house in /proc")
	}
	h, began := observed(t), time.Now()
	go h.vote(t.Context())
	h.hurt(t)

	open := append(h.panels(t), h.rules(t)...)
	t.Logf("%d queries", len(open))
	for end := time.Now().Add(shownWithin); len(open) > 0; {
		open = slices.DeleteFunc(open, func(q query) bool { return q.run(t.Context()) == nil })
		if time.Now().After(end) {
			for _, q := range open {
				t.Errorf("%s shows nothing: %s: %v", q.where, q.text, q.run(t.Context()))
			}
			break
		}
		time.Sleep(time.Second)
	}
	t.Logf("all that could be shown was after %s", time.Since(began).Round(time.Second))
	h.firing(t, "MarimbaDeadLetters")
	h.exemplars(t)
}

// query is one of a panel or a rule. run returns nil when it shows something.
type query struct {
	where, text string
	run         func(ctx context.Context) error
}

// panels are the queries of all panels and variables.
func (h *studio) panels(t *testing.T) []query {
	t.Helper()
	files, err := filepath.Glob("../../config/grafana/dashboards/*.json")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	var out []query
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Title      string
			Templating struct {
				List []struct{ Name, Query string }
			}
			Panels []struct {
				Type, Title string
				Targets     []asked
			}
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, v := range d.Templating.List {
			out = append(out, query{where: d.Title + ", variable " + v.Name, text: v.Query, run: func(ctx context.Context) error {
				return h.ask(ctx, strings.Fields(v.Query))
			}})
		}
		for _, p := range d.Panels {
			if p.Type != "row" && len(p.Targets) == 0 {
				t.Errorf("%s: panel %q asks nothing", d.Title, p.Title)
			}
			for _, asked := range p.Targets {
				q := asked.query(h)
				q.where = d.Title + ", " + p.Title + " " + asked.RefID
				out = append(out, q)
			}
		}
	}
	return out
}

// asked is what a panel asks.
type asked struct {
	RefID, Expr                                              string
	Instant                                                  bool
	Command, KeyName, Min, Max, ZrangeQuery, Section, Format string
}

func (a asked) query(h *studio) query {
	if a.Expr != "" {
		expr := strings.NewReplacer("$__rate_interval", "10s", "$__range", "15m", "$contest", events.DefaultContest).Replace(a.Expr)
		return query{text: a.Expr, run: func(ctx context.Context) error { return h.evaluate(ctx, expr, a.Instant) }}
	}
	words := a.words()
	return query{text: strings.Join(words, " "), run: func(ctx context.Context) error { return h.ask(ctx, words) }}
}

// words are the command that the plugin redis-datasource 2.2.0 sends.
func (a asked) words() []string {
	key := strings.ReplaceAll(a.KeyName, "${contest}", events.DefaultContest)
	switch a.Command {
	case "zrange":
		words := []string{a.Command, key, a.Min, a.Max}
		if a.ZrangeQuery != "" {
			words = append(words, a.ZrangeQuery)
		}
		return append(words, "WITHSCORES")
	case "xrange":
		return []string{a.Command, key, strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10) + "-0", "+"}
	case "info":
		return []string{a.Command, a.Section}
	}
	return []string{a.Command, key}
}

// ask runs a command on Redis as Grafana's user.
func (h *studio) ask(ctx context.Context, words []string) error {
	args := make([]any, len(words))
	for i, word := range words {
		args[i] = word
	}
	answer, err := h.redis.Do(ctx, args...).Result()
	if err != nil {
		return err
	}
	switch answer := answer.(type) {
	case []any:
		if len(answer) > 0 {
			return nil
		}
	case string:
		if strings.Contains(answer, ":") {
			return nil
		}
	}
	return fmt.Errorf("it answers %v", answer)
}

// unhurt are the queries of faults that are not made to happen here: Kafka and
// MongoDB do not fail. That they ask for what there is shows in what succeeds.
var unhurt = regexp.MustCompile(`marimba_(kafka_produce|mongodb)_duration_seconds_count\{outcome="error"\}`)

// evaluate runs a query on Prometheus: over the last minutes, or as of now.
func (h *studio) evaluate(ctx context.Context, expr string, instant bool) error {
	if unhurt.MatchString(expr) {
		expr = strings.ReplaceAll(expr, `outcome="error"`, `outcome="ok"`)
	}
	now := time.Now()
	path, args := "query_range", url.Values{"query": {expr}, "step": {"2"},
		"start": {seconds(now.Add(-3 * time.Minute))}, "end": {seconds(now)}}
	if instant {
		path, args = "query", url.Values{"query": {expr}}
	}
	var found struct {
		Result []struct {
			Value  [2]any
			Values [][2]any
		}
	}
	if err := h.tell(ctx, path, args, &found); err != nil {
		return err
	}
	for _, series := range found.Result {
		for _, value := range append(series.Values, series.Value) {
			text, _ := value[1].(string)
			if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
				return nil
			}
		}
	}
	return fmt.Errorf("it has %d series, and no number in them", len(found.Result))
}

func seconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// tell asks Prometheus' API.
func (h *studio) tell(ctx context.Context, path string, args url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Prometheus+"/api/v1/"+path+"?"+args.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}

// rules are the recorded figures, which must have values, and the alerts, of which
// each metric must be there. That an alert fires when it should rules.test.yaml
// shows.
func (h *studio) rules(t *testing.T) []query {
	t.Helper()
	text, err := os.ReadFile("../../config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Record, Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var out []query
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				out = append(out, query{where: rule.Record, text: rule.Expr, run: func(ctx context.Context) error {
					return h.evaluate(ctx, rule.Record, false)
				}})
				continue
			}
			for _, metric := range regexp.MustCompile(`\b(?:marimba[_:]|kafka_)\w+(?::\w+)*`).FindAllString(rule.Expr, -1) {
				out = append(out, query{where: rule.Alert, text: metric, run: func(ctx context.Context) error {
					return h.evaluate(ctx, metric, false)
				}})
			}
		}
	}
	out = append(out, query{where: "rules", text: "all are well", run: h.well})
	return out
}

// well reports whether Prometheus evaluates all rules without a fault.
func (h *studio) well(ctx context.Context) error {
	var found struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := h.tell(ctx, "rules", nil, &found); err != nil {
		return err
	}
	n := 0
	for _, group := range found.Groups {
		for _, rule := range group.Rules {
			if n++; rule.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	}
	if n == 0 {
		return fmt.Errorf("there are none")
	}
	return nil
}

// firing waits until an alert fires.
func (h *studio) firing(t *testing.T, name string) {
	t.Helper()
	var found struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		if err := h.tell(t.Context(), "alerts", nil, &found); err != nil {
			t.Fatal(err)
		}
		for _, a := range found.Alerts {
			if a.Labels["alertname"] == name && a.State == "firing" {
				return
			}
		}
	}
	t.Errorf("%s does not fire: %+v", name, found.Alerts)
}

// exemplars waits until the trace of a counted vote is found by its figure.
func (h *studio) exemplars(t *testing.T) {
	t.Helper()
	var found []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		now := time.Now()
		err := h.tell(t.Context(), "query_exemplars", url.Values{"query": {"marimba_cast_to_counted_seconds_bucket"},
			"start": {seconds(now.Add(-5 * time.Minute))}, "end": {seconds(now)}}, &found)
		if err != nil {
			t.Fatal(err)
		}
		for _, series := range found {
			for _, exemplar := range series.Exemplars {
				if exemplar.Labels["trace_id"] == trace {
					return
				}
			}
		}
	}
	t.Errorf("no vote's trace is an exemplar of cast-to-counted: %+v", found)
}
