package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"marimba/events"
	"marimba/functions/internal/publish"
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
	var routes, told []string
	for _, route := range newHouse().table() {
		routes = append(routes, strings.TrimSuffix(route.pattern, "{$}"))
	}
	for path, item := range described(t)["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				told = append(told, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(routes)
	slices.Sort(told)
	if !slices.Equal(routes, told) {
		t.Errorf("routes are\n%q, described are\n%q", routes, told)
	}
}

// The description is served as it is.
func TestDescriptionIsServed(t *testing.T) {
	w := newHouse().do(t, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), description) || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/yaml") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// The bounds that are described are those that hold.
func TestDescriptionHasTheBounds(t *testing.T) {
	text := string(description)
	for _, want := range []string{
		fmt.Sprintf("at most %d MiB", maxBody>>20), "at most 10,000 votes", fmt.Sprintf("maxItems: %d,", maxRows), fmt.Sprintf("maxItems: %d,", maxListed),
		fmt.Sprintf("1 to %d characters. Most", events.MaxAlbum), fmt.Sprintf("1 to %d characters.,", events.MaxName),
		fmt.Sprintf("1 to %d characters. Only", events.MaxVoter), fmt.Sprintf("{1,%d}$", events.MaxID),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, media := range append(slices.Clone(taken), eventTypes...) {
		if !strings.Contains(text, media+":") {
			t.Errorf("%s is not described", media)
		}
	}
}

// Real answers of every kind, of every route, are as the description says.
func TestAnswersAreAsDescribed(t *testing.T) {
	doc := described(t)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	kinds := []struct {
		say, body string
		headers   []string
		fail      error
		status    int
	}{
		{"receipt", vote, nil, nil, 202},
		{"report", "[" + vote + "]", nil, nil, 202},
		{"partial", "[" + vote + ",{}]", nil, nil, 202},
		{"broken off", "[" + vote + ",", nil, nil, 202},
		{"malformed", "{", nil, nil, 400},
		{"nothing", "", nil, nil, 400},
		{"too large", strings.Repeat(" ", maxBody+1), nil, nil, 413},
		{"encoding", vote, []string{"Content-Encoding: br"}, nil, 415},
		{"refused", `{"name":"A"}`, nil, nil, 422},
		{"none accepted", "[{}," + strings.Repeat("1,", maxListed) + "x", nil, nil, 422},
		{"not confirmed", vote, nil, publish.ErrUnavailable, 503},
		{"many not confirmed", "[" + vote + ",{}]", nil, publish.ErrBusy, 503},
	}
	tested := make(map[string]bool)
	for path := range doc["paths"].(map[string]any) {
		if path == "/openapi.yaml" {
			continue
		}
		for _, kind := range kinds {
			t.Run(path+" "+kind.say, func(t *testing.T) {
				h := newHouse()
				if strings.HasSuffix(path, "grpc") {
					var door *otherDoor
					h, door = newFrontHouse(t)
					if kind.fail != nil {
						door.fail = detailed(14, "BUSY", "", map[string]string{"id": "far"})
					}
				}
				if kind.fail != nil {
					h.twin.fail = func(int) error { return kind.fail }
				}
				headers := kind.headers
				if path == "/" {
					headers = append(binary(), headers...)
				}
				w := h.post(t, strings.ReplaceAll(path, "{contest}", "default")+"?receipts=1", kind.body, headers...)
				if w.Code != kind.status {
					t.Fatalf("answer is %d %s", w.Code, w.Body)
				}
				conforms(t, compiler, doc, path, w)
			})
		}
		tested[path] = true
	}
	for _, kind := range []struct {
		path, as, body string
		headers        []string
		status         int
	}{
		{"/v1/contests/nowhere/votes", "/v1/contests/{contest}/votes", vote, nil, 404},
		{rock, "/v1/contests/{contest}/votes", vote, []string{"Content-Type: text/plain"}, 415},
		{rock, "/v1/contests/{contest}/votes", formVote, []string{form}, 202},
		{"/rust?contest=nowhere", "/rust", vote, nil, 404},
		{"/", "/", vote, nil, 415},
		{"/", "/", "[" + envelope() + ",1]", []string{batched}, 202},
		{"/", "/", "[1]", []string{batched}, 422},
		{"/", "/", "x", []string{structured}, 400},
	} {
		w := newHouse().post(t, kind.path, kind.body, kind.headers...)
		if w.Code != kind.status {
			t.Errorf("%s: answer is %d %s", kind.path, w.Code, w.Body)
		}
		conforms(t, compiler, doc, kind.as, w)
	}
	if len(tested) != len(doc["paths"].(map[string]any))-1 {
		t.Errorf("tested are %v", slices.Sorted(maps.Keys(tested)))
	}
}

// conforms checks an answer's body by the schema of its path, status and media
// type.
func conforms(t *testing.T, compiler *jsonschema.Compiler, doc map[string]any, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace
	status := fmt.Sprint(w.Code)
	at := "#/paths/" + escape(path) + "/post/responses/" + status
	responses := doc["paths"].(map[string]any)[path].(map[string]any)["post"].(map[string]any)["responses"].(map[string]any)
	response, ok := responses[status].(map[string]any)
	if !ok {
		t.Fatalf("%s: %s is not described: %s", path, status, w.Body)
	}
	if ref, ok := response["$ref"].(string); ok {
		at = ref
	}
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	schema, err := compiler.Compile("openapi.json" + at + "/content/" + escape(media) + "/schema")
	if err != nil {
		t.Fatal(err)
	}
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(body); err != nil {
		t.Errorf("%s\n%v", w.Body, err)
	}
}
