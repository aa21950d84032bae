package journal

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"marimba/config"
	"marimba/events"
)

var start = time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)

// entry makes an accepted box of votes, whose times and indexes it sets if they
// are not.
func entry(id, contest string, votes ...events.Vote) Entry {
	e := Entry{
		ID: id + "/accepted", Attempt: "attempt-" + id,
		Box: events.Box{ID: id, Contest: contest, Channel: events.ByHTTP, Votes: votes},
	}
	for i := range votes {
		v := &e.Box.Votes[i]
		v.Index = i
		if v.ID == "" {
			v.ID = fmt.Sprintf("%s-%d", id, i)
		}
		if v.At.IsZero() {
			v.At = start
		}
		e.States = append(e.States, events.Counted)
	}
	return e
}

func mustAppend(t testing.TB, j *Journal, e Entry) string {
	t.Helper()
	attempt, err := j.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return attempt
}

// What is appended is read back whole, in every field.
func TestAppendKeepsAll(t *testing.T) {
	j := open(t)
	full := entry("box-1", "default",
		events.Vote{
			ID: "id.1", Name: "Malacates Trébol Shop", Album: "Paquetecuete", Year: 1997, Rank: 950,
			VoterKey: []byte{0, 1, 0xff}, At: start.Add(time.Millisecond), CastAt: start.Add(-time.Hour),
		},
		events.Vote{ID: "id.2", Name: "La Tona", At: start, Rank: 0, Year: 1900},
	)
	full.Box.Votes[1].Index = 7
	full.States[1] = events.OverLimit
	full.Place, full.Logged = "3/1999", start.Add(time.Second)
	full.Trace = "4bf92f3577b34da6a3ce929d0e0e4736" // the other is of none, as those of older logs are
	no := entry("box-1", "default", events.Vote{Name: "Nobody", Reason: events.BandUnknown, Field: "name"})
	no.ID, no.States[0] = "box-1/refused", events.Refused
	no.Box.Votes[0].Index = 3
	for _, e := range []Entry{full, no} {
		if got := mustAppend(t, j, e); got != e.Attempt {
			t.Errorf("%s: log holds attempt %q, want %q", e.ID, got, e.Attempt)
		}
	}
	got := make(map[string]Entry)
	for e, err := range j.Entries(t.Context(), "default") {
		if err != nil {
			t.Fatal(err)
		}
		got[e.ID] = e
	}
	if want := map[string]Entry{full.ID: full, no.ID: no}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	way := Way{full.ID, events.VotesAccepted, full.Place, full.Attempt, full.Logged, full.Trace}
	for receipt, want := range map[int]Row{
		0: {"box-1.0", "default", events.ByHTTP, full.Box.Votes[0], events.Counted, "", way},
		7: {"box-1.7", "default", events.ByHTTP, full.Box.Votes[1], events.OverLimit, "", way},
		3: {"box-1.3", "default", events.ByHTTP, no.Box.Votes[0], events.Refused, "", Way{Event: no.ID, Topic: events.VotesRefused, Attempt: no.Attempt}},
	} {
		row, ok, err := j.Vote(t.Context(), "box-1", receipt)
		if err != nil || !ok || !reflect.DeepEqual(row, want) {
			t.Errorf("receipt %d: got %+v, %v, %v\nwant %+v", receipt, row, ok, err, want)
		}
	}
	if _, ok, err := j.Vote(t.Context(), "box-1", 99); ok || err != nil {
		t.Errorf("a receipt that is not there: %v, %v", ok, err)
	}
	if _, ok, err := j.Vote(t.Context(), "box-2", 0); ok || err != nil {
		t.Errorf("a box that is not there: %v, %v", ok, err)
	}
	if n := count(t, j, "other"); n != 0 {
		t.Errorf("another contest has %d entries", n)
	}
}

func count(t *testing.T, j *Journal, contest string) int {
	n := 0
	for _, err := range j.Entries(t.Context(), contest) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Of an entry that is appended many times, also at once and with others, the log
// holds one, and everyone is told whose it is. The others are not held up by it.
func TestAppendOnce(t *testing.T) {
	j := open(t)
	const entries, each = 20, 5
	got := make([][]string, entries)
	var mu sync.Mutex
	var appending sync.WaitGroup
	for n := range entries {
		for k := range each {
			appending.Go(func() {
				e := entry(fmt.Sprintf("box-%d", n), "default", events.Vote{Name: "La Tona"})
				e.Attempt = fmt.Sprintf("%d/%d", n, k)
				attempt, err := j.Append(t.Context(), e)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				got[n] = append(got[n], attempt)
				mu.Unlock()
			})
		}
	}
	appending.Wait()
	held := make(map[string]string)
	for e, err := range j.Entries(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		held[e.ID] = e.Attempt
	}
	if len(held) != entries {
		t.Errorf("log holds %d entries, want %d", len(held), entries)
	}
	for n, attempts := range got {
		want := held[fmt.Sprintf("box-%d/accepted", n)]
		if slices.ContainsFunc(attempts, func(a string) bool { return a != want }) || !strings.HasPrefix(want, fmt.Sprint(n)+"/") {
			t.Errorf("box %d: told %v, log holds %q", n, attempts, want)
		}
	}
}

// An entry without as many states as votes is not written, nor one that would be
// read otherwise than it was.
func TestAppendWants(t *testing.T) {
	j := open(t)
	for _, states := range [][]events.State{nil, {events.Counted, events.Counted}} {
		e := entry("box-1", "default", events.Vote{Name: "La Tona"})
		e.States = states
		if _, err := j.Append(t.Context(), e); err == nil {
			t.Errorf("%d states for one vote were written", len(states))
		}
	}
	for _, name := range []string{"La\tTona", "La\nTona"} {
		if _, err := j.Append(t.Context(), entry("box-1", "default", events.Vote{Name: name})); err == nil {
			t.Errorf("%q was written", name)
		}
	}
}

// A MongoDB that is away is an error of the call, within the caller's time.
func TestMongoAway(t *testing.T) {
	j, err := Open(config.Mongo{URL: "mongodb://127.0.0.1:1/", Database: "away"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := j.Append(ctx, entry("box-1", "default", events.Vote{Name: "La Tona"})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append: %v", err)
	}
	if _, _, err := j.Page(ctx, Filter{}, "", 1); err == nil {
		t.Error("page: no error")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = j.Close(ended)
}

// An address that is none is told without telling the password in it.
func TestOpenRefuses(t *testing.T) {
	for _, url := range []config.Secret{"", "http://user:hunter2@host/", "mongodb://user:hunter2@host:port:1/", "mongodb://user:hun/ter2@host"} {
		_, err := Open(config.Mongo{URL: url, Database: "d"})
		if err == nil || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: %v", url.Reveal(), err)
		}
	}
}

// A CA is of use with TLS only, and an address that does not ask for it would send
// the password in clear.
func TestOpenWithCA(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	ca := config.CA(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for url, want := range map[config.Secret]bool{"mongodb://u:p@127.0.0.1:1/?tls=true": true, "mongodb://u:p@127.0.0.1:1/": false} {
		j, err := Open(config.Mongo{URL: url, Database: "d", TLSCA: ca})
		if (err == nil) != want {
			t.Errorf("%s: %v", url.Reveal(), err)
		}
		if err == nil {
			_ = j.Close(t.Context())
		}
	}
}

// On MongoDB the view votes has one document a vote, with the receipt as _id,
// and making it again is no error. On FerretDB nothing is made.
func TestPrepare(t *testing.T) {
	j := open(t)
	for range 2 {
		if err := j.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	db := j.boxes.Database()
	var build bson.M
	if err := db.RunCommand(t.Context(), bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		t.Fatal(err)
	}
	if build["ferretdbVersion"] != nil {
		names, err := db.ListCollectionNames(t.Context(), bson.D{})
		if err != nil || slices.Contains(names, "votes") {
			t.Errorf("collections on FerretDB: %v, %v", names, err)
		}
		return
	}
	mustAppend(t, j, entry("box-1", "default", events.Vote{Name: "La Tona"}, events.Vote{Name: "El Clubo", Rank: 950}))
	var vote bson.M
	err := db.Collection("votes").FindOne(t.Context(), bson.D{{Key: "_id", Value: "box-1.1"}}).Decode(&vote)
	if err != nil || vote["name"] != "El Clubo" || vote["contest"] != "default" || vote["rank"] != 9.5 {
		t.Errorf("view: %v, %v", vote, err)
	}
}
