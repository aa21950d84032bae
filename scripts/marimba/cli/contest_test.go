package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"marimba/config"
	"marimba/events"
)

const show = `# A show.
id: show
title: {es: Función, en: Show}
open_roster: true
rank_mode: score
rank_max: 10
closes_at: 2026-11-24T12:00:00Z
`

// organisers is a folder of contests, and a clock.
type organisers struct {
	t   *testing.T
	dir string
	now time.Time
}

func newOrganisers(t *testing.T) *organisers {
	t.Helper()
	o := &organisers{t, t.TempDir(), time.Date(2026, 11, 24, 11, 0, 0, 1e6, time.UTC)}
	if err := os.WriteFile(filepath.Join(o.dir, "show.yaml"), []byte(show), 0o600); err != nil {
		t.Fatal(err)
	}
	return o
}

// run runs a command about contests, and returns what it writes.
func (o *organisers) run(args ...string) (string, error) {
	o.t.Helper()
	var out bytes.Buffer
	s := &settings{home: o.t.TempDir(), json: true, out: &out, err: &out}
	cmd := (&organiser{settings: s, now: func() time.Time { return o.now }}).command()
	cmd.SetArgs(append(args, "--contests", o.dir))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.Execute()
	return out.String(), err
}

// A contest is extended, extended again and closed early; each change is in the
// file with who made it and why, and the file's other lines are as they were.
func TestContestIsAmended(t *testing.T) {
	o := newOrganisers(t)
	steps := []struct {
		args []string
		want string
	}{
		{[]string{"extend", "show", "--until", "2026-11-24T07:00:00-06:00", "--by", "Ana", "--reason", "Llueve"}, "2026-11-24T13:00:00Z"},
		{[]string{"extend", "show", "--until", "150m", "--by", "Ana", "--reason", "Llueve más"}, "2026-11-24T13:30:01Z"},
		{[]string{"close", "show", "--at", "1h", "--by", "Luis", "--reason", "Escampó"}, "2026-11-24T12:00:01Z"},
		{[]string{"close", "show", "--by", "Luis", "--reason", "Ya"}, "2026-11-24T11:00:06Z"},
	}
	for _, step := range steps {
		said, err := o.run(step.args...)
		if err != nil {
			t.Fatalf("%v: %v", step.args, err)
		}
		var shown contestTimes
		if err := json.Unmarshal([]byte(said), &shown); err != nil {
			t.Fatal(err)
		}
		if got := shown.ClosesAt.Format(time.RFC3339Nano); got != step.want || shown.Phase != events.Open {
			t.Errorf("%v: it is %s and closes at %s, want %s", step.args, shown.Phase, got, step.want)
		}
	}
	text, err := os.ReadFile(filepath.Join(o.dir, "show.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), show+"amendments:\n  - at: 2026-11-24T11:00:00.001Z\n    by: Ana\n") || strings.Count(string(text), "- at: ") != len(steps) {
		t.Errorf("the file is\n%s", text)
	}
	info, err := os.Stat(filepath.Join(o.dir, "show.yaml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	o.now = o.now.Add(2 * time.Hour)
	said, err := o.run("show", "show")
	if err != nil || !strings.Contains(said, `"phase":"closed"`) || strings.Count(said, `"bound":"closes_at"`) != len(steps) {
		t.Errorf("it is shown as %s, %v", said, err)
	}
}

// What cannot be, or would be unfair, is refused with its reason, and the file
// stays as it is.
func TestContestRefuses(t *testing.T) {
	why := []string{"--by", "Ana", "--reason", "why"}
	tests := map[string]struct {
		args []string
		do   func(o *organisers)
		want string
	}{
		"nobody":                   {args: []string{"extend", "show", "--until", "3h", "--reason", "why"}, want: `"by" not set`},
		"no reason":                {args: []string{"extend", "show", "--until", "3h", "--by", "Ana"}, want: `"reason" not set`},
		"no time":                  {args: append([]string{"extend", "show"}, why...), want: `"until" not set`},
		"not a time":               {args: append([]string{"extend", "show", "--until", "tomorrow"}, why...), want: `"tomorrow" is not a time`},
		"extend to earlier":        {args: append([]string{"extend", "show", "--until", "30m"}, why...), want: "that is later; `contest close`"},
		"close later":              {args: append([]string{"close", "show", "--at", "3h"}, why...), want: "that is earlier; `contest extend`"},
		"close in the past":        {args: append([]string{"close", "show", "--at", "-1m"}, why...), want: "less than 5s from now"},
		"close within the margin":  {args: append([]string{"close", "show", "--at", "80s", "--margin", "90s"}, why...), want: "less than 1m30s from now"},
		"less than no margin":      {args: append([]string{"close", "show", "--margin", "-1s"}, why...), want: "less than nothing"},
		"open what is open":        {args: append([]string{"open", "show"}, why...), want: "has no opens_at"},
		"no such contest":          {args: append([]string{"close", "nowhere"}, why...), want: `no contest "nowhere"`},
		"extend what has no end":   {args: append([]string{"extend", "show", "--until", "3h"}, why...), do: func(o *organisers) { o.write(strings.ReplaceAll(show, "closes_at", "# closes_at")) }, want: "nothing to extend"},
		"extend what has closed":   {args: append([]string{"extend", "show", "--until", "3h"}, why...), do: func(o *organisers) { o.now = o.now.Add(time.Hour) }, want: "an instant that has passed is not moved"},
		"a folder with faults":     {args: append([]string{"close", "show"}, why...), do: func(o *organisers) { o.file("other.yaml", "id: other\n") }, want: "functions would not take this folder"},
		"a mounted ConfigMap":      {args: append([]string{"close", "show"}, why...), do: func(o *organisers) { o.link() }, want: "is a link"},
		"somebody else amends too": {args: append([]string{"close", "show"}, why...), do: func(o *organisers) { o.hold() }, want: "somebody else is amending"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := newOrganisers(t)
			if test.do != nil {
				test.do(o)
			}
			before, _ := os.ReadFile(filepath.Join(o.dir, "show.yaml"))
			said, err := o.run(test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %s, %v, want %q", said, err, test.want)
			}
			if after, _ := os.ReadFile(filepath.Join(o.dir, "show.yaml")); !bytes.Equal(before, after) {
				t.Errorf("the file has become\n%s", after)
			}
		})
	}
}

func (o *organisers) file(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *organisers) write(text string) { o.t.Helper(); o.file("show.yaml", text) }

func (o *organisers) link() {
	o.t.Helper()
	path := filepath.Join(o.dir, "show.yaml")
	if err := os.Rename(path, filepath.Join(o.dir, "data")); err != nil {
		o.t.Fatal(err)
	}
	if err := os.Symlink("data", path); err != nil {
		o.t.Fatal(err)
	}
}

func (o *organisers) hold() {
	o.t.Helper()
	unlock, err := lock(o.dir)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(unlock)
}

// Of amendments at the same time each is in the file, or was refused.
func TestContestIsAmendedByManyAtOnce(t *testing.T) {
	o := newOrganisers(t)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			s := &settings{home: o.dir, json: true, out: new(bytes.Buffer), err: new(bytes.Buffer)}
			by := &organiser{settings: s, contests: o.dir, by: "Ana", reason: "why", margin: time.Second, now: func() time.Time { return o.now }}
			errs[i] = by.amend("show", events.ClosesAt, (2*time.Hour + time.Duration(i)*time.Minute).String(), nil)
		})
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !strings.Contains(err.Error(), "somebody else") {
			t.Error(err)
		}
	}
	roll, err := config.Contests{Dir: o.dir}.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := roll.Contest("show"); made == 0 || len(c.Amendments) != made {
		t.Errorf("%d were made, %d are in the file", made, len(c.Amendments))
	}
}

// The folder of contests is the one that is named, or that of the house on the
// data folder.
func TestContestsAreThoseOfTheHouse(t *testing.T) {
	home := t.TempDir()
	o := &organiser{settings: &settings{home: home}}
	if _, err := o.dir(); err == nil || !strings.Contains(err.Error(), "has no contests yet") {
		t.Errorf("without a house: %v", err)
	}
	laid := filepath.Join(home, "data", "contests")
	if err := os.MkdirAll(laid, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ running, named, want string }{
		{"", "", laid}, {`{"contests":"/elsewhere"}`, "", "/elsewhere"}, {`{"contests":"/elsewhere"}`, "/named", "/named"},
	} {
		if test.running != "" {
			if err := os.WriteFile(addressFile(o.folder()), []byte(test.running), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o.contests = test.named
		if dir, err := o.dir(); err != nil || dir != test.want {
			t.Errorf("with %q running and %q named it is %q, %v; want %q", test.running, test.named, dir, err, test.want)
		}
	}
}

// What books says on its way is told line by line, however it comes in pieces,
// and the rest is what went wrong.
func TestHeard(t *testing.T) {
	var told []string
	h := heard{progress: func(line []byte) { told = append(told, string(line)) }}
	for _, piece := range []string{`{"step":`, `"screen"}` + "\nbooks: clo", "se: not final\n", "{\"step\":\"tally\"}\n{", `"step":"shelve"}`} {
		if n, err := h.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("%q: %d, %v", piece, n, err)
		}
	}
	if want := `{"step":"screen"} {"step":"tally"}`; strings.Join(told, " ") != want {
		t.Errorf("told is %q", told)
	}
	if got := h.fault(); got != "books: close: not final\n{\"step\":\"shelve\"}" {
		t.Errorf("the rest is %q", got)
	}
}
