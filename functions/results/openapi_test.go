package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"marimba/events"
	"marimba/functions/internal/counts"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/kafka"
)

// described reads the description, as JSON would have it.
func described(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal(description, &doc); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return out.(map[string]any)
}

// Every route is described, and nothing else is.
func TestDescriptionHasEveryRoute(t *testing.T) {
	var routes []string
	for _, route := range newHouse(t.Context()).table() {
		if method, path, ok := strings.Cut(route.pattern, " "); ok {
			routes = append(routes, strings.ToLower(method)+" "+strings.Replace(strings.TrimSuffix(path, "{$}"), "...}", "}", 1))
		}
	}
	var paths []string
	for path, item := range described(t)["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			paths = append(paths, method+" "+path)
		}
	}
	slices.Sort(paths)
	slices.Sort(routes)
	if !slices.Equal(routes, paths) {
		t.Errorf("routes are\n%v, described are\n%v", routes, paths)
	}
}

// Every state, channel and metric there is, is in the description.
func TestDescriptionHasEveryWord(t *testing.T) {
	schemas := described(t)["components"].(map[string]any)["schemas"].(map[string]any)
	words := func(of any) string { return fmt.Sprint(of.(map[string]any)["enum"]) }
	if got := words(schemas["Channel"]); got != fmt.Sprint(events.Channels) {
		t.Errorf("channels are %s", got)
	}
	row := schemas["Row"].(map[string]any)["properties"].(map[string]any)
	if got := words(row["state"]); got != fmt.Sprint(append(slices.Clone(events.States), events.Annulled)) {
		t.Errorf("states are %s", got)
	}
	states := schemas["States"].(map[string]any)["properties"].(map[string]any)
	for _, state := range append(slices.Clone(events.States), events.Annulled) {
		if _, ok := states[string(state)]; !ok {
			t.Errorf("state %s is not in States", state)
		}
	}
	if got := words(schemas["Metric"]); got != fmt.Sprint([]events.Metric{events.ByVotes, events.ByPoints, events.ByMean, events.BySum}) {
		t.Errorf("metrics are %s", got)
	}
}

// Real answers of every kind are as the description says.
func TestAnswersAreAsDescribed(t *testing.T) {
	doc := described(t)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	h := full(t)
	tests := []struct {
		path, of, status string
		headers          []string
		body             string // is posted
	}{
		{path: "/v1/contests", of: "/v1/contests"},
		{path: "/v1/contests/rock", of: "/v1/contests/{contest}"},
		{path: "/v1/contests/default", of: "/v1/contests/{contest}"},
		{path: "/v1/contests/nowhere", of: "/v1/contests/{contest}", status: "404"},
		{path: "/v1/contests/rock/board", of: "/v1/contests/{contest}/board"},
		{path: "/v1/contests/default/board", of: "/v1/contests/{contest}/board"},
		{path: "/v1/contests/rock/board?limit=x", of: "/v1/contests/{contest}/board", status: "400"},
		{path: "/v1/contests/rock/history?step=second", of: "/v1/contests/{contest}/history"},
		{path: "/v1/contests/rock/history", of: "/v1/contests/{contest}/history"},
		{path: "/v1/contests/rock/balance", of: "/v1/contests/{contest}/balance"},
		{path: "/v1/contests/rock/annulments", of: "/v1/contests/{contest}/annulments"},
		{path: "/v1/contests/nowhere/annulments", of: "/v1/contests/{contest}/annulments", status: "404"},
		{path: "/v1/contests/rock/statement", of: "/v1/contests/{contest}/statement"},
		{path: "/v1/contests/default/statement", of: "/v1/contests/{contest}/statement", status: "404"},
		{path: "/v1/contests/rock/votes/mine", of: "/v1/contests/{contest}/votes/{id}"},
		{path: "/v1/contests/rock/votes/" + idOf(noon), of: "/v1/contests/{contest}/votes/{id}"},
		{path: "/v1/receipts/r.0", of: "/v1/receipts/{receipt}"},
		{path: "/v1/receipts/r.0", of: "/v1/receipts/{receipt}", headers: []string{bearer}},
		{path: "/v1/receipts/r.0", of: "/v1/receipts/{receipt}", headers: []string{secretOf("r.0")}},
		{path: "/v1/receipts/r.2", of: "/v1/receipts/{receipt}", headers: []string{secretOf("r.2")}},
		{path: "/v1/receipts/r.1", of: "/v1/receipts/{receipt}", headers: []string{secretOf("r.1")}},
		{path: "/v1/receipts/r.0", of: "/v1/receipts/{receipt}", headers: []string{secretOf("r.1")}, status: "403"},
		{path: "/v1/receipts/" + idOf(noon) + ".1", of: "/v1/receipts/{receipt}"},
		{path: "/v1/receipts/r.9", of: "/v1/receipts/{receipt}", status: "404"},
		{path: "/v1/contests/rock/log/consistency?from=1", of: "/v1/contests/{contest}/log/consistency"},
		{path: "/v1/contests/rock/log/consistency", of: "/v1/contests/{contest}/log/consistency", status: "400"},
		{path: "/v1/contests/rock/log/consistency?from=1&to=2", of: "/v1/contests/{contest}/log/consistency", status: "404"},
		{path: "/v1/contests/default/log/checkpoint", of: "/v1/contests/{contest}/log/checkpoint", status: "404"},
		{path: "/v1/contests/rock/log/tile/0/001", of: "/v1/contests/{contest}/log/tile/{tile}", status: "404"},
		{path: "/v1/contests/default/archive", of: "/v1/contests/{contest}/archive", status: "404"},
		{path: "/v1/dead", of: "/v1/dead", headers: []string{bearer}},
		{path: "/v1/dead", of: "/v1/dead", status: "401"},
		{path: "/v1/flight", of: "/v1/flight"},
		{path: "/v1/dead/replay", of: "/v1/dead/replay", headers: []string{bearer}, body: `{"ids": ["d", "foreign"]}`},
		{path: "/v1/dead/replay", of: "/v1/dead/replay", headers: []string{bearer}, body: `{"ids": ["nowhere"]}`, status: "404"},
		{path: "/v1/dead/replay", of: "/v1/dead/replay", body: `{"ids": ["d"]}`, status: "401"},
		{path: "/logs", of: "/logs"},
		{path: "/logs?after=", of: "/logs"},
		{path: "/logs?limit=1&after=", of: "/logs", headers: []string{bearer}},
		{path: "/logs?format=csv", of: "/logs", status: "401"},
	}
	tested := make(map[string]bool)
	for _, test := range tests {
		status, media := "200", "application/json"
		if test.status != "" {
			status, media = test.status, "application/problem+json"
		}
		t.Run(status+" "+test.path, func(t *testing.T) {
			method, answer := "get", (*httptest.ResponseRecorder)(nil)
			if test.body == "" {
				answer = h.get(t, test.path, test.headers...)
			} else {
				method, answer = "post", h.post(t, test.path, test.body, test.headers...)
			}
			if fmt.Sprint(answer.Code) != status {
				t.Fatalf("answer is %d %s", answer.Code, answer.Body)
			}
			conforms(t, compiler, doc, test.of, method, status, media, answer)
		})
		tested[test.of] = true
	}
	for path, item := range doc["paths"].(map[string]any) {
		text, _ := json.Marshal(item)
		if bytes.Contains(text, []byte(`"application/json"`)) && !tested[path] {
			t.Errorf("no answer of %s is tested", path)
		}
	}
}

// conforms checks an answer's body by the schema of its path and status.
func conforms(t *testing.T, compiler *jsonschema.Compiler, doc map[string]any, path, method, status, media string, answer *httptest.ResponseRecorder) {
	t.Helper()
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace
	at := "#/paths/" + escape(path) + "/" + method + "/responses/" + status
	response := doc["paths"].(map[string]any)[path].(map[string]any)[method].(map[string]any)["responses"].(map[string]any)[status].(map[string]any)
	if ref, ok := response["$ref"].(string); ok {
		at = ref
	}
	schema, err := compiler.Compile("openapi.json" + at + "/content/" + escape(media) + "/schema")
	if err != nil {
		t.Fatal(err)
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(answer.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(body); err != nil {
		t.Errorf("%s\n%v", answer.Body, err)
	}
}

// full is a house that has something of everything.
func full(t *testing.T) *house {
	h := newHouse(t.Context())
	h.redis.vote("Trébol", 3)
	h.redis.vote("Otra", 1)
	h.redis.known["rock/mine/"] = events.Counted
	h.redis.seconds = []counts.Second{{At: noon.Add(-1), Votes: map[events.State]int64{events.Counted: 1, events.Refused: 2}}}
	h.redis.minutes = []counts.Minute{{At: noon.Add(-1), Bands: map[string]int64{"Trébol": 1}}}
	h.redis.newest = []counts.Recent{{Receipt: "r.0", Contest: "rock", Channel: events.ByHTTP, State: events.Counted, Vote: events.Vote{Name: "Trébol", At: noon}}}
	h.redis.figures = counts.Figures{
		Votes:   map[events.Channel]map[events.State]int64{events.ByHTTP: {events.Counted: 4}},
		Reasons: map[events.Code]int64{events.BandUnknown: 1},
	}
	h.redis.pending = map[events.State]int64{events.Counted: 1}
	no := rowAt("r.1")
	no.State, no.Vote.Reason, no.Vote.Field = events.Refused, events.BandUnknown, "name"
	whole := rowAt("r.2")
	whole.Vote.Index, whole.Vote.CastAt = 2, noon.Add(-time.Minute)
	whole.Way = journal.Way{Event: "r/accepted", Topic: events.VotesAccepted, Place: "1/22", Attempt: "3:x", Ended: noon.Add(time.Second)}
	h.mongo.rows = []journal.Row{rowAt("r.0"), no, whole}
	h.kafka.reach = map[events.Topic]kafka.Reach{events.VotesCast: {0: {From: 1, To: 5}}}
	h.mongo.dead = []journal.DeadLetter{{
		ID: "d", Type: events.TypeCast, Contest: "rock", Channel: events.ByHTTP, Votes: 1, Topic: events.VotesCast, Cause: "status",
		Status: "500", Destination: "http://screen", Answer: "no", Places: []string{"0/1"}, At: noon, State: journal.Shelved,
		ReplayedAt: noon, Event: eventText(t, "d"),
	}, {ID: "foreign", Type: "x", Cause: "status", At: noon, State: journal.Shelved, Event: []byte("{}")}}
	h.log.seal(t, h.mongo.rows[0])
	h.mongo.state("rock", declared(t))
	return h
}
