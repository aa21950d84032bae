package desk

import (
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/problem"
)

// A ballot that comes late is told when the contest closed. When the contest has
// been extended the next ballot is taken, without a new desk.
func TestLateBallotIsToldTheClosing(t *testing.T) {
	contests := contestsOf{"show": {ID: "show", Revision: "1", OpenRoster: true, RankMax: 1000, YearMin: 1900, ClosesAt: noon}}
	d := New(contests, plainKeys{})
	at := noon.Add(-time.Millisecond)
	d.now = func() time.Time { return at }
	b := events.Ballot{Name: "Trébol", Year: "1999", Rank: "1", Contest: "show"}
	if _, _, no := d.Admit(new(events.Reading), b); no != nil {
		t.Errorf("a ballot in time is answered %v", no)
	}
	at = noon
	_, _, no := d.Admit(new(events.Reading), b)
	if no == nil || no.Code != events.TooLate || no.Params["closes_at"] != "2026-05-01T18:00:00Z" {
		t.Fatalf("a late ballot is answered %+v", no)
	}
	for _, language := range []string{"es", "en"} {
		if _, text := problem.Message(language, no); !strings.Contains(text, "2026-05-01T18:00:00Z") {
			t.Errorf("it is told %q", text)
		}
	}
	extended := contests["show"]
	extended.Revision, extended.ClosesAt = "2", noon.Add(time.Hour)
	contests["show"] = extended
	if _, v, no := d.Admit(new(events.Reading), b); no != nil || !v.At.Equal(noon) {
		t.Errorf("after the extension it is answered %v", no)
	}
}
