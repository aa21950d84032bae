package main

import (
	"bytes"
	"embed"
	"io/fs"
	"net/http"
	"path"
	"time"

	"marimba/events"
)

//go:embed page
var pageFiles embed.FS

//go:embed openapi.yaml
var description []byte

// The page loads nothing from elsewhere and runs no script but its own.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (r *results) showPage(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	return showFile(w, req, "index.html")
}

func (r *results) showAsset(w http.ResponseWriter, req *http.Request) error {
	return showFile(w, req, req.PathValue("file"))
}

func showFile(w http.ResponseWriter, req *http.Request, name string) error {
	text, err := fs.ReadFile(pageFiles, path.Join("page", name))
	if err != nil || path.Base(name) != name {
		return events.Refuse(events.RouteUnknown, "")
	}
	w.Header().Set("Cache-Control", forAMinute)
	w.Header().Set("ETag", `"`+digestOf(text)+`"`)
	http.ServeContent(w, req, name, time.Time{}, bytes.NewReader(text))
	return nil
}

func (r *results) showDescription(w http.ResponseWriter, req *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", forAMinute)
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(description))
	return nil
}
