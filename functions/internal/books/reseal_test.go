package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
	"marimba/functions/internal/journal/journaltest"
	"marimba/functions/internal/tlog"
	"marimba/knative/local/real/realtest"
)

// publicOf answers for each contest what is done to its public log.
type publicOf map[string]struct {
	rebuilt  tlog.Rebuilt
	compared tlog.Comparison
	err      error
}

func (p publicOf) Rebuild(_ context.Context, contest string) (tlog.Rebuilt, error) {
	return p[contest].rebuilt, p[contest].err
}

func (p publicOf) Compare(_ context.Context, contest string, _ *seal.Secrets, _ iter.Seq2[journal.Entry, error]) (tlog.Comparison, error) {
	return p[contest].compared, nil
}

// Each contest's public log is rebuilt, and compared if it can be; one that fails
// does not keep the others from it.
func TestReseal(t *testing.T) {
	away := errors.New("away")
	p := publicOf{
		"rock": {rebuilt: tlog.Rebuilt{Contest: "rock", Batches: 2, Leaves: 20}, compared: tlog.Comparison{Contest: "rock", Leaves: 20, Votes: 20}},
		"lost": {err: away},
		"gone": {rebuilt: tlog.Rebuilt{Contest: "gone", Batches: 1, Leaves: 5}, compared: tlog.Comparison{Contest: "gone", Leaves: 5, Votes: 4, Many: 1}},
	}
	ids := []string{"rock", "lost", "gone"}
	done, err := reseal(t.Context(), ids, p, journaltest.New(), nil)
	if !errors.Is(err, away) || done.Contests != 2 || done.Batches != 3 || done.Leaves != 25 || done.Different != 0 || done.Results[0].Compared != nil {
		t.Errorf("got %+v, %v", done, err)
	}
	done, err = reseal(t.Context(), ids, p, journaltest.New(), seal.NewSecrets([]byte("secret")))
	if !errors.Is(err, away) || done.Contests != 2 || done.Different != 1 || done.Results[1].Compared.Many != 1 {
		t.Errorf("got %+v, %v", done, err)
	}
	text, err := json.Marshal(done)
	if err != nil || !strings.Contains(string(text), `"leaves_many":1`) {
		t.Errorf("it says %s: %v", text, err)
	}
}

// On a database: what was sealed of the logged votes is the same, and a vote that was
// not sealed is missed.
func TestResealOfLoggedVotes(t *testing.T) {
	cfg := config.Mongo{URL: config.Secret("mongodb://" + realtest.FerretDB(t).Address + "/"), Database: "marimba"}
	log, err := journal.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close(context.Background()) //nolint:errcheck // nothing waits
	public, err := tlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close(context.Background()) //nolint:errcheck // nothing waits
	signer, err := tlog.NewSigner(config.Seal{Key: "key", Origin: "marimba.example"})
	if err != nil {
		t.Fatal(err)
	}
	secrets, writer := seal.NewSecrets([]byte("receipts")), tlog.NewWriter(public, signer)
	for n := range 6 {
		box := events.Box{ID: fmt.Sprint("box-", n), Contest: "feria", Channel: events.ByHTTP}
		toSeal := tlog.Box{Contest: box.Contest, ID: box.ID}
		var states []events.State
		for i := range 4 {
			box.Votes = append(box.Votes, events.Vote{ID: fmt.Sprint(n, i), Name: "Band", Album: "Album", Year: 2000, Rank: 100, Index: i, At: time.UnixMilli(1_790_000_000_000)})
			states = append(states, []events.State{events.Counted, events.Duplicate}[i%2])
			if states[i] == events.Counted {
				toSeal.Votes = append(toSeal.Votes, tlog.Vote{Index: i, Entry: tlog.Commit(secrets, box, &box.Votes[i])})
			}
		}
		if _, err := log.Append(t.Context(), journal.Entry{ID: box.ID + "/accepted", Box: box, Attempt: "1:a", States: states}); err != nil {
			t.Fatal(err)
		}
		if n < 5 {
			if err := writer.Seal(t.Context(), toSeal); err != nil {
				t.Fatal(err)
			}
		}
	}
	environ := []string{"MONGO_URL=" + cfg.URL.Reveal()}
	for _, with := range []string{"", "receipts", "another"} {
		result, err := runReseal(t.Context(), []string{"-contest=feria"}, append(environ, "RECEIPT_SECRET="+with))
		if err != nil {
			t.Fatal(err)
		}
		done := result.(resealed)
		if done.Contests != 1 || done.Leaves != 10 || done.Batches != 5 {
			t.Errorf("with %q: %+v", with, done)
		}
		switch c := done.Results[0].Compared; with {
		case "":
			if c != nil {
				t.Errorf("compared without a secret: %+v", c)
			}
		case "receipts":
			if c.Few != 2 || c.Many != 0 || !strings.HasPrefix(c.AFew, "box-5.") || done.Different != 1 {
				t.Errorf("two votes are not sealed: %+v", c)
			}
		case "another":
			if c.Few != 12 || c.Many != 10 {
				t.Errorf("with another secret: %+v", c)
			}
		}
	}
	for say, args := range map[string][]string{"is too much": {"feria"}, "there is no contest": {"-contest=none"}, "not defined": {"-board"}} {
		if _, err := runReseal(t.Context(), args, environ); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
