package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever is posted is answered: with one of the statuses that are described,
// in JSON, with votes cast only if it is a success, and as many as it says.
func FuzzPost(f *testing.F) {
	paths := []string{rock, open0 + "?receipts=1", "/", "/rust", "/insert/wasm?contest=rock"}
	types := []string{"application/json", "application/x-ndjson", "text/csv", "application/x-www-form-urlencoded",
		"application/cloudevents+json", "application/cloudevents-batch+json", ""}
	encodings := []string{"", "gzip"}
	for _, seed := range []struct {
		path, media, encoding byte
		key, body             string
	}{
		{0, 0, 0, "", vote}, {1, 0, 0, "k", "[" + vote + ",{}]"}, {1, 1, 0, "", vote + "\n{}"}, {1, 2, 0, "", "name,year,rank\nA,1982,1st"},
		{0, 3, 0, "", formVote}, {2, 4, 0, "", envelope()}, {2, 5, 0, "", "[" + envelope() + ",1]"}, {2, 0, 0, "e-1", vote}, {3, 6, 0, `"k"`, vote},
		{4, 0, 1, "", packed(vote)}, {0, 0, 1, "", packed(vote)[:15]}, {1, 0, 0, "\xff", "[[[["},
	} {
		f.Add(seed.path, seed.media, seed.encoding, seed.key, []byte(seed.body))
	}
	statuses := map[int]bool{202: true, 400: true, 404: true, 408: true, 413: true, 415: true, 422: true, 503: true}
	f.Fuzz(func(t *testing.T, path, media, encoding byte, key string, data []byte) {
		h := newHouse()
		to := paths[int(path)%len(paths)]
		req := httptest.NewRequest(http.MethodPost, to, strings.NewReader(string(data)))
		req.Header["Content-Type"] = []string{types[int(media)%len(types)]}
		req.Header["Content-Encoding"] = []string{encodings[int(encoding)%len(encodings)]}
		if to == "/" && key != "" {
			req.Header["Ce-Specversion"], req.Header["Ce-Type"] = []string{"1.0"}, []string{"vote"}
			req.Header["Ce-Source"], req.Header["Ce-Id"] = []string{"/fuzz"}, []string{key}
			req.Header["Accept"] = []string{"*/*"}
		} else {
			req.Header["Idempotency-Key"] = []string{key}
		}
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, req)
		cast := len(h.twin.cast())
		if !statuses[w.Code] || (w.Code == http.StatusAccepted) != (cast > 0) {
			t.Fatalf("%d, %d votes are cast: %s", w.Code, cast, w.Body)
		}
		if len(h.room) != 0 || len(h.large) != 0 {
			t.Fatal("a place is not given back")
		}
		if w.Code == http.StatusAccepted && w.Body.Len() == 0 {
			return
		}
		var r reply
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatalf("%v: %s", err, w.Body)
		}
		if w.Code == http.StatusAccepted && r.ID == "" && r.Accepted != cast {
			t.Fatalf("%d votes are cast, %d are told", cast, r.Accepted)
		}
		if w.Code != http.StatusAccepted && (r.Code == "" || r.Detail == "" || r.Detail == string(r.Code)) {
			t.Fatalf("no reason: %s", w.Body)
		}
	})
}
