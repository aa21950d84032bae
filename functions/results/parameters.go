package main

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"marimba/events"
)

// query reads a request's parameters. The first that cannot be read is told;
// one that is not there has its default.
type query struct {
	values url.Values
	no     *events.Refusal
}

func parameters(req *http.Request) *query {
	values, err := url.ParseQuery(req.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.refuse("query", "key=value&…")
	}
	return q
}

func (q *query) refuse(name, expected string) {
	if q.no == nil {
		q.no = events.Refuse(events.ParameterMalformed, name, "parameter", name, "expected", expected)
	}
}

func (q *query) refusal() error {
	if q.no == nil {
		return nil
	}
	return q.no
}

func (q *query) has(name string) bool { return q.values.Has(name) }

func (q *query) text(name string) string {
	given := q.values[name]
	if len(given) > 1 {
		q.refuse(name, "one value")
		return ""
	}
	return q.values.Get(name)
}

func (q *query) number(name string, unless, least, most int) int {
	text := q.text(name)
	if text == "" {
		return unless
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		q.refuse(name, strconv.Itoa(least)+"–"+strconv.Itoa(most))
		return unless
	}
	return n
}

// time reads RFC 3339, such as 2026-11-24T12:00:00Z.
func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 || t.Year() > events.MaxYear {
		q.refuse(name, "RFC 3339: 2026-11-24T12:00:00Z")
		return time.Time{}
	}
	return t.UTC()
}

// oneOf reads one of some words; the first is the default.
func oneOf[T ~string](q *query, name string, words ...T) T {
	text := T(q.text(name))
	if text == "" {
		return words[0]
	}
	if !slices.Contains(words, text) {
		var expected []string
		for _, word := range words {
			if word != "" {
				expected = append(expected, string(word))
			}
		}
		q.refuse(name, strings.Join(expected, ", "))
		return words[0]
	}
	return text
}
