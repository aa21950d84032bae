package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// final is the result of close.
type final struct {
	Phase     string
	Declared  bool
	SHA256    string
	Statement json.RawMessage
}

// statement is what a statement says of the votes.
type statement struct {
	Votes struct {
		Cast, Late int64
		States     map[string]int64
	}
	Board      struct{ Bands []band }
	Amendments []struct{ By, Reason string }
}

// A contest is closed by its organiser while the house stands. Votes that come
// later are refused and told when it closed; those before count, though all of the
// house is killed and started again meanwhile; and then there is one statement,
// which stays, and an archive that a stranger finds in order.
func TestClose(t *testing.T) {
	t.Parallel() // it waits more than it works
	data := t.TempDir()
	house := up(t, data)
	send := func(file string) (got struct {
		result
		Rows []struct{ Code string }
	}) {
		t.Helper()
		if err := invoke(t, &got, "send", "--json", "--data", data, file); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := send(repeated(t, 400)); got.Counted != 400 {
		t.Fatalf("before: %+v", got)
	}
	var times struct {
		Phase    string
		ClosesAt time.Time `json:"closes_at"`
	}
	if err := invoke(t, &times, "contest", "close", "default", "--at", "6s", "--by", "Ana", "--reason", "Ya es tarde", "--json", "--data", data); err != nil {
		t.Fatal(err)
	}
	if times.Phase != "open" || time.Until(times.ClosesAt) > 8*time.Second {
		t.Errorf("it is %s and closes at %s", times.Phase, times.ClosesAt)
	}
	closing := start(t, "close", "default", "--wait", "--timeout", "3m", "--json", "--data", data)
	closing.Env = append(closing.Env, "KAFKA_DELIVERY_TIMEOUT=2s") // nothing is on its way for longer here
	var out, said bytes.Buffer
	closing.Stdout, closing.Stderr = &out, &said
	if err := closing.Start(); err != nil {
		t.Fatal(err)
	}
	for times.Phase != "closed" {
		time.Sleep(200 * time.Millisecond)
		if err := invoke(t, &times, "contest", "show", "default", "--json", "--data", data); err != nil {
			t.Fatal(err)
		}
	}
	late := send(write(t, "late.csv", "name,album,year,rank", "Alux Nahual,Conquista,1990,1", "Alux Nahual,La Trampa,1989,1"))
	if late.result.Refused != 2 || late.Accepted != 0 || len(late.Rows) != 2 || late.Rows[0].Code != "too_late" {
		t.Errorf("late votes: %+v", late)
	}
	if err := house.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = house.Wait()
	up(t, data)

	var first, again final
	var stated statement
	if err := closing.Wait(); err != nil {
		t.Fatalf("close: %v\n%s", err, said.String())
	}
	if err := json.Unmarshal(out.Bytes(), &first); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if err := json.Unmarshal(first.Statement, &stated); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(said.Bytes(), []byte(`"step":"landing"`)) {
		t.Errorf("on its way it says\n%s", said.String())
	}
	if first.Phase != "final" || !first.Declared || stated.Votes.Cast != 400 || stated.Votes.States["counted"] != 400 ||
		len(stated.Board.Bands) != 2 || len(stated.Amendments) != 1 || stated.Amendments[0].By != "Ana" {
		t.Errorf("it is %s: %s", first.Phase, first.Statement)
	}
	if err := invoke(t, &again, "close", "default", "--json", "--data", data); err != nil {
		t.Fatal(err)
	}
	if again.Declared || again.SHA256 != first.SHA256 || !bytes.Equal(again.Statement, first.Statement) {
		t.Errorf("a second time it is %+v", again)
	}
	var board struct {
		Phase       string
		Provisional bool
		Totals      struct{ Votes int64 }
	}
	if err := invoke(t, &board, "results", "--json", "--data", data); err != nil {
		t.Fatal(err)
	}
	if board.Phase != "final" || board.Provisional || board.Totals.Votes != 400 {
		t.Errorf("the board is %+v", board)
	}
	var books struct{ Agree bool }
	if err := invoke(t, &books, "audit", "--json", "--data", data); err != nil || !books.Agree {
		t.Errorf("the audit says %+v, %v", books, err)
	}
	if got := verified(t, data, "default", first.SHA256); !got.Holds || got.Votes != 400 || len(got.Checks) != 16 {
		t.Errorf("the archive: %+v", got)
	}
	var told struct {
		Changes bool `json:"winner_changes"`
		LeftOut int  `json:"votes_left_out"`
	}
	err := invoke(t, &told, "whatif", resultsOf(t, data)+"/v1/contests/default/archive", "--cap", "100", "--json")
	if err != nil || told.LeftOut == 0 {
		t.Errorf("by other rules: %+v, %v", told, err)
	}
}
