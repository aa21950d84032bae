package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// votable is a house whose pages take votes.
func votable(t *testing.T) *house {
	t.Helper()
	h := newHouse(t.Context())
	h.door = "http://door.example"
	h.redis.vote("Trébol", 3)
	return h
}

func has(t *testing.T, answer *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(answer.Body.String(), text) {
			t.Errorf("the page has no %s in\n%s", text, answer.Body)
		}
	}
}

// Each page is the shell with its own title, language and plain part, under a
// policy that names all it may do.
func TestPages(t *testing.T) {
	h := votable(t)
	h.mongo.rows = append(h.mongo.rows, rowAt("r.0"))
	tests := map[string][]string{
		"/":                            {"<title>Que suene su voto · Marimba</title>", "/vota/rock", "/tablero/default"},
		"/?lang=en":                    {`<html lang="en"`, "Make your vote heard", "Voting is open"},
		"/vota/rock":                   {"<title>Votar · Roca · Marimba</title>", `action="http://door.example/v1/contests/rock/votes"`, "<option>Trébol</option>", `value="Dos"`, `max="10"`},
		"/vota/default":                {`<input id="plain-name" name="name"`, `max="1"`},
		"/tablero/rock":                {"Tablero · Roca", `<th scope="row">Trébol</th><td>3</td><td>36</td>`},
		"/bitacora":                    {"Bitácora"},
		"/bitacora/r.0":                {"Bitácora"},
		"/libros":                      {"Libros"},
		"/recibo":                      {"¿Contó mi voto?", `action="/recibo"`},
		"/recibo/r.0":                  {"Contado"},
		"/recibo/r.9":                  {"No se conoce"},
		"/recibo/" + idOf(noon) + ".0": {"En camino"},
	}
	for path, texts := range tests {
		t.Run(path, func(t *testing.T) {
			answer := h.get(t, path)
			if answer.Code != 200 {
				t.Fatalf("answer is %d", answer.Code)
			}
			has(t, answer, append(texts, `<meta name="marimba:door" content="http://door.example">`, `<div id="__nuxt">`)...)
			policy := answer.Header().Get("Content-Security-Policy")
			if strings.Contains(policy, "unsafe-inline") || !strings.Contains(policy, "connect-src 'self' http://door.example;") {
				t.Errorf("policy is %s", policy)
			}
			for _, script := range regexp.MustCompile(`<script(?: [^>]*)?>`).FindAllString(answer.Body.String(), -1) {
				if !strings.Contains(script, "src=") && !strings.Contains(script, "application/json") && !strings.Contains(policy, "'sha256-") {
					t.Errorf("the policy does not know %s", script)
				}
			}
		})
	}
}

// A ballot is made anew each time that it is opened: its id makes one vote of
// however many times it is sent.
func TestBallotIsMadeAnew(t *testing.T) {
	h := votable(t)
	id := regexp.MustCompile(`name="id" value="([^"]+)"`)
	seen := make(map[string]bool)
	for range 3 {
		answer := h.get(t, "/vota/rock")
		found := id.FindStringSubmatch(answer.Body.String())
		if found == nil || !events.IsID(found[1]) || seen[found[1]] || answer.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("id is %q after %v, kept by %s", found, seen, answer.Header().Get("Cache-Control"))
		}
		seen[found[1]] = true
	}
}

// There is no form where no vote would be taken, and the board needs no Redis to
// say that there is none.
func TestPagesWithoutForm(t *testing.T) {
	h := votable(t)
	h.door = ""
	if answer := h.get(t, "/vota/rock"); strings.Contains(answer.Body.String(), "<form") || strings.Contains(answer.Body.String(), "marimba:door") {
		t.Errorf("a page without a door has a form")
	}
	h = votable(t)
	h.now = func() time.Time { return noon.Add(2 * time.Hour) }
	has(t, h.get(t, "/vota/rock"), "Ahora no se puede votar.")
	h.redis.away = errAway
	has(t, h.get(t, "/tablero/default"), "No hay conexión con Marimba.")
}

// A contest that there is not has a page that says so; older addresses lead to
// those of today.
func TestOtherAddresses(t *testing.T) {
	h := votable(t)
	for _, path := range []string{"/vota/nowhere", "/tablero/nowhere?lang=en"} {
		answer := h.get(t, path)
		if answer.Code != 404 || answer.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s is %d", path, answer.Code)
		}
		has(t, answer, `<div id="__nuxt">`)
	}
	for path, to := range map[string]string{
		"/?contest=rock":                 "/tablero/rock",
		"/?contest=//evil.example":       "/tablero/%2F%2Fevil.example",
		"/recibo?receipt=+r.0+":          "/recibo/r.0",
		"/recibo?receipt=//evil.example": "/recibo/%2F%2Fevil.example",
	} {
		answer := h.get(t, path)
		if answer.Code != 303 || answer.Header().Get("Location") != to {
			t.Errorf("%s leads to %q with %d", path, answer.Header().Get("Location"), answer.Code)
		}
	}
}

// A page that shows the same is not sent again.
func TestPageIsNotSentAgain(t *testing.T) {
	h := votable(t)
	tag := h.get(t, "/recibo").Header().Get("ETag")
	if again := h.get(t, "/recibo", "If-None-Match: "+tag); tag == "" || again.Code != 304 {
		t.Errorf("with tag %q the answer is %d", tag, again.Code)
	}
}

// What a page loads is sent in the best coding that the reader takes, is the same
// in each, and may be kept for ever if its name says what it holds.
func TestAssets(t *testing.T) {
	h := newHouse(t.Context())
	names := assetNames(t)
	kept := 0
	for _, name := range names {
		plain := h.get(t, "/assets/"+name)
		if plain.Code != 200 || plain.Header().Get("Content-Encoding") != "" || plain.Body.Len() == 0 {
			t.Fatalf("%s is %d in %q", name, plain.Code, plain.Header().Get("Content-Encoding"))
		}
		if strings.Contains(plain.Header().Get("Cache-Control"), "immutable") {
			kept++
		}
		zipped := h.get(t, "/assets/"+name, "Accept-Encoding: br;q=0, gzip")
		text := zipped.Body.Bytes()
		if zipped.Header().Get("Content-Encoding") == "gzip" {
			reader, err := gzip.NewReader(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(text, plain.Body.Bytes()) {
			t.Errorf("%s is another when it is compressed", name)
		}
		if again := h.get(t, "/assets/"+name, "If-None-Match: "+plain.Header().Get("ETag")); again.Code != 304 {
			t.Errorf("%s is sent again", name)
		}
		if best := h.get(t, "/assets/"+name, "Accept-Encoding: gzip, deflate, br, zstd"); path.Ext(name) == ".js" && best.Header().Get("Content-Encoding") != "br" {
			t.Errorf("%s is sent in %q", name, best.Header().Get("Content-Encoding"))
		}
	}
	if kept < len(names)-1 {
		t.Errorf("%d of %d files may be kept for ever", kept, len(names))
	}
}

// All that any page loads, compressed, is less than what the first look may take.
func TestPagesAreLight(t *testing.T) {
	const most = 300 << 10
	size := 0
	for _, name := range assetNames(t) {
		text, _, err := asset(name, "gzip")
		if err != nil {
			t.Fatal(err)
		}
		size += len(text)
	}
	t.Logf("all files of the pages have %d KB in gzip", size>>10)
	if size > most {
		t.Errorf("the pages have %d bytes, more than %d", size, most)
	}
}

func assetNames(t *testing.T) []string {
	t.Helper()
	entries, err := fs.ReadDir(pageFiles, "page/assets")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasSuffix(name, ".br") {
			names = append(names, strings.TrimSuffix(name, ".gz"))
		}
	}
	return names
}

// Both languages have the same words.
func TestWordsAreInBothLanguages(t *testing.T) {
	es, en := allWords()["es"].text, allWords()["en"].text
	for key := range es {
		if en[key] == "" {
			t.Errorf("%s is not in English", key)
		}
	}
	if len(es) != len(en) || len(es) < 50 {
		t.Errorf("%d words in Spanish, %d in English", len(es), len(en))
	}
}
