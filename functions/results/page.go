package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"marimba/events"
)

// The pages, as web/build makes them: the shell of all of them, and what it
// loads, compressed.
//
//go:embed all:page
var pageFiles embed.FS

//go:embed openapi.yaml
var description []byte

// shell is the one document of all pages, cut where each page's own parts go.
type shell struct {
	toTitle, toHead, toBody, rest string
	scripts                       string // hashes of the scripts that stand in it, for the policy
}

var (
	inlineScript = regexp.MustCompile(`(?s)<script((?: [^>]*)?)>(.*?)</script>`)
	shellParts   = regexp.MustCompile(`(?s)^(.*<html)[^>]*(>.*<title>)[^<]*(</title>.*)(</head>\s*<body[^>]*>)(.*)$`)
)

var pageShell = sync.OnceValue(func() shell {
	text, err := fs.ReadFile(pageFiles, "page/index.html")
	parts := shellParts.FindStringSubmatch(string(text))
	if err != nil || parts == nil {
		panic("the shell of the pages has another form") // it is built in: a programmer's fault
	}
	made := shell{toTitle: parts[2], toHead: parts[3], toBody: parts[4], rest: parts[5]}
	for _, script := range inlineScript.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(script[1], "src=") || strings.Contains(script[1], "application/json") {
			continue
		}
		sum := sha256.Sum256([]byte(script[2]))
		made.scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return made
})

// policy lets a page load what it is made of, ask this function, and hand votes
// to the door. It runs no script but its own, and judges ballots by the rules in
// WebAssembly.
func (s shell) policy(door string) string {
	return "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'" + s.scripts + "; style-src 'self'; img-src 'self' data:; " +
		"connect-src 'self' " + door + "; form-action 'self' " + door + "; base-uri 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types vue"
}

// sheet is a page's own part.
type sheet struct {
	status   int // 0: 200
	language string
	title    string
	plain    []byte // what is shown without JavaScript
	once     bool   // it is made for this one reader and visit
	referrer string // who is told the page's address; empty: nobody
}

// showSheet answers with a page.
func (r *results) showSheet(w http.ResponseWriter, req *http.Request, s sheet) error {
	shell := pageShell()
	var text bytes.Buffer
	fmt.Fprintf(&text, "<!DOCTYPE html><html lang=%q%s%s · Marimba%s", s.language, shell.toTitle, html.EscapeString(s.title), shell.toHead)
	if r.door != "" {
		fmt.Fprintf(&text, `<meta name="marimba:door" content="%s">`, html.EscapeString(r.door))
	}
	fmt.Fprintf(&text, `%s<noscript><div class="plain">%s</div></noscript>%s`, shell.toBody, s.plain, shell.rest)

	h := w.Header()
	h.Set("Content-Security-Policy", shell.policy(originOf(r.door)))
	h.Set("Referrer-Policy", "no-referrer")
	if s.referrer != "" {
		h.Set("Referrer-Policy", s.referrer)
	}
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", s.language)
	h.Add("Vary", "Accept-Language")
	h.Set("Cache-Control", "no-store")
	if !s.once && s.status == 0 {
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"`+digestOf(text.Bytes())+`"`)
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(text.Bytes()))
		return nil
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
	}
	_, _ = w.Write(text.Bytes()) // a reader who went away needs no answer
	return nil
}

// originOf is what a policy names a place by. A setting that is none has been
// refused before.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// The codings that assets are kept in, the best first.
var codings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// hashed is the name of a file that is another when its content is.
var hashed = regexp.MustCompile(`[A-Za-z0-9_-]{8}\.(js|css|wasm)$`)

// showAsset answers with what pages load, in a coding that the reader takes.
func (r *results) showAsset(w http.ResponseWriter, req *http.Request) error {
	name := req.PathValue("file")
	if path.Base(name) != name {
		return events.Refuse(events.RouteUnknown, "")
	}
	text, coding, err := asset(name, req.Header.Get("Accept-Encoding"))
	if err != nil {
		return events.Refuse(events.RouteUnknown, "")
	}
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	h.Set("Cache-Control", forAMinute)
	if hashed.MatchString(name) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("ETag", `"`+digestOf(text)+`"`)
	if path.Ext(name) == ".wasm" {
		h.Set("Content-Type", "application/wasm")
	}
	http.ServeContent(w, req, name, time.Time{}, bytes.NewReader(text))
	return nil
}

func asset(name, accept string) (text []byte, coding string, err error) {
	at := "page/assets/" + name
	for _, c := range codings {
		if !accepts(accept, c.name) {
			continue
		}
		if text, err := fs.ReadFile(pageFiles, at+c.suffix); err == nil {
			return text, c.name, nil
		}
	}
	if text, err = fs.ReadFile(pageFiles, at); err == nil {
		return text, "", nil
	}
	packed, err := fs.ReadFile(pageFiles, at+".gz")
	if err != nil {
		return nil, "", err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, "", err
	}
	text, err = io.ReadAll(unpacked)
	return text, "", err
}

// accepts reports whether an Accept-Encoding header (RFC 9110, section 12.5.3)
// names a coding and does not rule it out.
func accepts(header, coding string) bool {
	for entry := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(entry, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			quality := strings.TrimSpace(params)
			return strings.TrimRight(quality, ".0") != "q=" && quality != "q=0"
		}
	}
	return false
}

func (r *results) showDescription(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", forAMinute)
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(description))
	return nil
}
