package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"marimba/events"
	"marimba/functions/internal/problem"
)

// The words of the pages, which the browser has too.
//
//go:embed web/app/words/*.json
var wordFiles embed.FS

//go:embed plain.html
var plainText string

// words are those of one language, by key.
type words struct {
	language string
	text     map[string]string
}

var allWords = sync.OnceValue(func() map[string]words {
	all := make(map[string]words)
	for _, language := range []string{"es", "en"} {
		made := words{language: language}
		text, err := fs.ReadFile(wordFiles, "web/app/words/"+language+".json")
		if err != nil || json.Unmarshal(text, &made.text) != nil {
			panic("the words of the pages cannot be read") // they are built in: a programmer's fault
		}
		all[language] = made
	}
	return all
})

// Say returns the words of a key, with values in the places of their names.
func (w words) Say(key string, namesAndValues ...string) string {
	for i := range namesAndValues {
		if i%2 == 0 {
			namesAndValues[i] = "{" + namesAndValues[i] + "}"
		}
	}
	return strings.NewReplacer(namesAndValues...).Replace(w.text[key])
}

var plainPages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("plain").Parse(plainText)) // it is built in
})

// speech is how a page is worded: as its address asks, or else as the browser.
func speech(req *http.Request) words {
	asked := req.URL.Query().Get("lang")
	if in, ok := allWords()[asked]; ok {
		return in
	}
	return allWords()[problem.In(req.Header.Get("Accept-Language")).Language()]
}

// plainly makes a page's own part: its title, and what it shows without
// JavaScript by the template of a name.
func plainly(s sheet, in words, title, name string, data any) (sheet, error) {
	var text bytes.Buffer
	err := plainPages().ExecuteTemplate(&text, name, struct {
		words
		Title string
		Data  any
	}{in, title, data})
	s.language, s.title, s.plain = in.language, title, text.Bytes()
	return s, err
}

func (r *results) show(w http.ResponseWriter, req *http.Request, s sheet, in words, title, name string, data any) error {
	s, err := plainly(s, in, title, name, data)
	if err != nil {
		return err
	}
	return r.showSheet(w, req, s)
}

// showHome answers with the page of all contests. Its address once was that of
// the board.
func (r *results) showHome(w http.ResponseWriter, req *http.Request) error {
	if contest := req.URL.Query().Get("contest"); contest != "" {
		http.Redirect(w, req, "/tablero/"+url.PathEscape(contest), http.StatusSeeOther)
		return nil
	}
	in := speech(req)
	type line struct {
		contestLine
		Name string
		Open bool
	}
	var contests []line
	for _, id := range r.contests.IDs() {
		if c, ok := r.contests.Contest(id); ok {
			l := r.lineOf(req.Context(), c)
			contests = append(contests, line{l, c.Title[in.language], l.Phase == events.Open})
		}
	}
	return r.show(w, req, sheet{}, in, in.Say("home.title"), "home", contests)
}

// showBallot answers with the page to vote on. Without JavaScript it is a form
// that goes to the door, with an id of its own for each time that it is opened.
func (r *results) showBallot(w http.ResponseWriter, req *http.Request) error {
	in := speech(req)
	c, err := r.contestOf(req)
	if err != nil {
		return r.showMissing(w, req, in, in.Say("contest.unknown"))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	ballot := struct {
		events.Contest
		Name, Door, VoteID, RankMax string
		Open, Score                 bool
	}{
		Contest: c, Name: c.Title[in.language], VoteID: id.String(), RankMax: events.FormatRank(c.RankMax),
		Open: r.finals.phaseOf(req.Context(), c) == events.Open, Score: c.RankMode == events.Score,
	}
	if r.door != "" {
		ballot.Door = r.door + "/v1/contests/" + c.ID + "/votes"
	}
	s := sheet{once: true, referrer: "no-referrer-when-downgrade"} // so that the door can link back
	return r.show(w, req, s, in, in.Say("vote")+" · "+ballot.Name, "ballot", ballot)
}

// plainBands is how many bands a board shows without JavaScript.
const plainBands = 50

func (r *results) showBoardPage(w http.ResponseWriter, req *http.Request) error {
	in := speech(req)
	c, err := r.contestOf(req)
	if err != nil {
		return r.showMissing(w, req, in, in.Say("contest.unknown"))
	}
	shown := struct {
		boardSheet
		Name string
		Away bool
	}{Name: c.Title[in.language]}
	board, _, err := r.boards.public(req.Context(), c.ID)
	if shown.Away = err != nil; !shown.Away {
		shown.boardSheet = board.cut(plainBands, 0)
	}
	return r.show(w, req, sheet{}, in, in.Say("board")+" · "+shown.Name, "board", shown)
}

// showReceiptPage answers with the page that tells what became of a vote. The
// form without JavaScript names the receipt in the query.
func (r *results) showReceiptPage(w http.ResponseWriter, req *http.Request) error {
	if given := strings.TrimSpace(req.URL.Query().Get("receipt")); given != "" {
		http.Redirect(w, req, "/recibo/"+url.PathEscape(given), http.StatusSeeOther)
		return nil
	}
	in := speech(req)
	asked := struct {
		Receipt, State string
		Away           bool
		At             *time.Time
	}{Receipt: req.PathValue("receipt")}
	if asked.Receipt != "" {
		answer, _, err := r.receipt(req.Context(), asked.Receipt)
		var no *events.Refusal
		switch {
		case err == nil:
			asked.State, asked.At = string(answer.State), answer.ReceivedAt
		case errors.As(err, &no):
			asked.State = "unknown"
		default:
			asked.Away = true
		}
	}
	return r.show(w, req, sheet{}, in, in.Say("recibo.title"), "receipt", asked)
}

// The pages that are nothing without JavaScript.
func (r *results) showLogPage(w http.ResponseWriter, req *http.Request) error {
	in := speech(req)
	return r.show(w, req, sheet{}, in, in.Say("log"), "needs", "/logs")
}

func (r *results) showBooksPage(w http.ResponseWriter, req *http.Request) error {
	in := speech(req)
	return r.show(w, req, sheet{}, in, in.Say("books"), "needs", "/v1/contests")
}

func (r *results) showMissing(w http.ResponseWriter, req *http.Request, in words, title string) error {
	return r.show(w, req, sheet{status: http.StatusNotFound}, in, title, "missing", nil)
}
