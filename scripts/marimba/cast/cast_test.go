package cast

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"marimba/config"
	"marimba/events"
)

// fakeDoor answers as its function says, and keeps what it was given.
type fakeDoor struct {
	mu    sync.Mutex
	tries int
	seen  map[string]int // by id: how often
	play  func(try int, rows []Row) ([]Outcome, error)
}

func (d *fakeDoor) Cast(_ context.Context, _ string, rows []Row) ([]Outcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	if d.seen == nil {
		d.seen = map[string]int{}
	}
	for _, row := range rows {
		d.seen[row.Ballot.ID]++
	}
	return d.play(d.tries, rows)
}

func (d *fakeDoor) Close() error { return nil }

func rows(n int) []Row {
	out := make([]Row, n)
	for i := range out {
		out[i] = Row{"f.csv", i + 1, events.Ballot{Name: "Alux Nahual", ID: fmt.Sprintf("id-%d", i+1)}}
	}
	return out
}

func acceptAll(_ int, rows []Row) ([]Outcome, error) { return make([]Outcome, len(rows)), nil }

// Every row is sent once, in parts of a bounded size, and each is told to the
// progress.
func TestSendAll(t *testing.T) {
	door := &fakeDoor{play: func(_ int, rows []Row) ([]Outcome, error) {
		if len(rows) > maxPart {
			t.Errorf("a part of %d", len(rows))
		}
		return acceptAll(0, rows)
	}}
	var mu sync.Mutex
	told := 0
	s := Sender{Door: door, OnPart: func(n int) { mu.Lock(); told += n; mu.Unlock() }}
	report, err := s.Send(t.Context(), rows(2*maxPart+1))
	if err != nil || report.Cast != 2*maxPart+1 || report.Accepted != report.Cast || report.Refused != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if told != 2*maxPart+1 || len(door.seen) != told || door.tries != 3 {
		t.Errorf("told %d, sent %d in %d parts", told, len(door.seen), door.tries)
	}
}

// What was not answered is sent again with the same ids; refused rows are not.
func TestSendAgain(t *testing.T) {
	door := &fakeDoor{play: func(try int, rows []Row) ([]Outcome, error) {
		if try < 3 {
			return nil, errors.New("no answer")
		}
		return []Outcome{{}, {Code: events.BandUnknown, Field: "name", Detail: "who?"}}, nil
	}}
	report, err := (&Sender{Door: door}).Send(t.Context(), rows(2))
	if err != nil || report.Accepted != 1 || report.Refused != 1 || report.Retries != 2 || report.Reasons[events.BandUnknown] != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if door.seen["id-1"] != 3 || len(door.seen) != 2 {
		t.Errorf("sent: %v", door.seen)
	}
	if want := (Refused{"f.csv", 2, events.BandUnknown, "name", "who?"}); report.Rows[0] != want {
		t.Errorf("row %+v", report.Rows[0])
	}
}

// An error that no repetition mends ends the sending at once, and so does a door
// that answers for another number of votes.
func TestSendEnds(t *testing.T) {
	for say, play := range map[string]func(int, []Row) ([]Outcome, error){
		"final":         func(int, []Row) ([]Outcome, error) { return nil, fmt.Errorf("%w: no contest", ErrFinal) },
		"other number":  func(int, []Row) ([]Outcome, error) { return []Outcome{{}}, nil },
		"too many rows": func(int, []Row) ([]Outcome, error) { return make([]Outcome, 9), nil },
	} {
		door := &fakeDoor{play: play}
		if _, err := (&Sender{Door: door}).Send(t.Context(), rows(2)); !errors.Is(err, ErrFinal) || door.tries != 1 {
			t.Errorf("%s: %v after %d tries", say, err, door.tries)
		}
	}
}

// When the context ends, so does the sending, with an error: a report is never
// taken for whole when it is not.
func TestSendCutShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	door := &fakeDoor{play: func(int, []Row) ([]Outcome, error) {
		cancel()
		return nil, errors.New("no answer")
	}}
	if report, err := (&Sender{Door: door}).Send(ctx, rows(3*maxPart)); !errors.Is(err, context.Canceled) || report.Accepted != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// The votes of one file have the same ids each time, and those of another file
// others; given ids stay. Ordinals are put in plain form; rows that cannot be read
// are reported by their number.
func TestRowsOfFile(t *testing.T) {
	file := config.VoteFile{Name: "a.csv", Data: []byte("name,album,year,rank,id\n" +
		"Alux Nahual,Conquista,1982,1st,\n" +
		"Alux Nahual,Conquista,mil,2,\n" +
		"Alux Nahual,Conquista,1982,3,mine\n")}
	var report Report
	first, err := Rows(file, &report)
	if err != nil || len(first) != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	if first[0].Ballot.Rank != "1" || first[1].Ballot.ID != "mine" || first[1].Number != 3 {
		t.Errorf("rows %+v", first)
	}
	if report.Refused != 1 || report.Rows[0].Row != 2 || report.Rows[0].Code != events.YearMalformed {
		t.Errorf("report %+v", report)
	}
	again, err := Rows(file, new(Report))
	if err != nil || again[0].Ballot.ID != first[0].Ballot.ID || !events.IsID(first[0].Ballot.ID) {
		t.Errorf("ids %q and %q, %v", first[0].Ballot.ID, again[0].Ballot.ID, err)
	}
	file.Data = append(file.Data, "Alux Nahual,Conquista,1982,3,\n"...)
	other, err := Rows(file, new(Report))
	if err != nil || other[0].Ballot.ID == first[0].Ballot.ID {
		t.Errorf("another file has the same ids, or %v", err)
	}
}

// A file of another kind is named, and not guessed at.
func TestRowsOfOtherFile(t *testing.T) {
	broken := config.VoteFile{Name: "a.json", Data: []byte(`{"name": 5`)}
	if _, err := Rows(broken, new(Report)); err == nil || !strings.Contains(err.Error(), "a.json: body_malformed: line 1, byte 11") {
		t.Errorf("a file that breaks off: %v", err)
	}
	if _, err := Rows(config.VoteFile{Name: "a.txt"}, new(Report)); err == nil || !strings.Contains(err.Error(), "a.txt") {
		t.Errorf("%v", err)
	}
}
