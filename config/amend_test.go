package config

import (
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// at is an instant of the day of the tests.
func instant(text string) time.Time {
	t, err := time.Parse("15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t.AddDate(2026, 10, 23) // the year 0 of a clock is 2026
}

const show = `# The contest of the tests.
id: show
title: {es: Función, en: Show} # as it is on the posters
rank_mode: score
rank_max: 10
opens_at: 2026-11-24T10:00:00Z
closes_at: 2026-11-24T12:00:00Z

# Any band.
open_roster: true
`

// An amendment is one entry more, and every other line stays as it is, wherever
// the amendments stand in the file and however it ends.
func TestAmendAddsAnEntry(t *testing.T) {
	extend := Change{Bound: events.ClosesAt, To: instant("13:00:00"), By: " Ana  López", Reason: "it rains: one hour more"}
	const entry = "  - at: 2026-11-24T11:00:00.5Z\n    by: Ana López\n    closes_at: 2026-11-24T13:00:00Z\n    reason: 'it rains: one hour more'\n"
	const first = "- at: 2026-11-24T09:00:00Z\n  by: Luis\n  opens_at: 2026-11-24T10:30:00Z\n  reason: late\n"
	const flow = "    - {at: 2026-11-24T09:00:00Z, by: Luis, opens_at: 2026-11-24T10:30:00Z, reason: late}\n"
	tests := map[string]struct{ file, want string }{
		"the first":           {show, show + "amendments:\n" + entry},
		"without a line end":  {strings.TrimSuffix(show, "\n"), show + "amendments:\n" + entry},
		"none yet":            {show + "amendments:\n", ""},
		"an empty list":       {show + "amendments: []\n", ""},
		"at the end":          {show + "amendments:\n" + first, show + "amendments:\n" + first + strings.ReplaceAll("\n"+entry, "\n  ", "\n")[1:]},
		"in the middle":       {strings.Replace(show, "\n# Any", "amendments:\n"+flow+"\n# Any", 1), strings.Replace(show, "\n# Any", "amendments:\n"+flow+strings.ReplaceAll("\n"+entry, "\n  ", "\n    ")[1:]+"\n# Any", 1)},
		"with comments below": {show + "amendments:\n" + flow + "# the end\n", show + "amendments:\n" + flow + strings.ReplaceAll("\n"+entry, "\n  ", "\n    ")[1:] + "# the end\n"},
		"a list in one line":  {show + "amendments: [{at: 2026-11-24T09:00:00Z, by: Luis, opens_at: 2026-11-24T10:30:00Z, reason: late}]\n", ""},
		"a file in one line":  {"{id: show, title: {es: a, en: b}, rank_mode: score, rank_max: 10, open_roster: true}\n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Amend("show", []byte(test.file), extend, instant("11:00:00").Add(500*time.Millisecond+time.Microsecond), 5*time.Second)
			if test.want == "" {
				if err == nil {
					t.Errorf("it is amended to\n%s", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("it is amended to\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// What would be unfair is refused, and the refusal says why.
func TestAmendIsFair(t *testing.T) {
	const margin = 5 * time.Second
	opens := func(to string) Change { return Change{events.OpensAt, instant(to), "Ana", "why"} }
	closes := func(to string) Change { return Change{events.ClosesAt, instant(to), "Ana", "why"} }
	noBounds := strings.NewReplacer("opens_at: 2026-11-24T10:00:00Z\n", "", "closes_at: 2026-11-24T12:00:00Z\n", "").Replace(show)
	nameless, silent := closes("13:00:00"), closes("13:00:00")
	nameless.By, silent.Reason = " ", "\a"
	tests := []struct {
		name, file, now string
		change          Change
		want            string // "" is that it may be
	}{
		{"extend", show, "11:59:55", closes("12:30:00"), ""},
		{"extend before it opens", show, "09:00:00", closes("12:30:00"), ""},
		{"extend within the margin", show, "11:59:56", closes("12:30:00"), "less than 5s from now"},
		{"extend at the closing", show, "12:00:00", closes("12:30:00"), "an instant that has passed is not moved"},
		{"extend what is closed", show, "12:10:00", closes("12:30:00"), "an instant that has passed is not moved"},
		{"close early", show, "11:00:00", closes("11:00:05"), ""},
		{"close within the margin", show, "11:00:00", closes("11:00:04"), "11:00:04Z is less than 5s from now"},
		{"close in the past", show, "11:00:00", closes("10:30:00"), "less than 5s from now"},
		{"close when it closes", show, "11:00:00", closes("12:00:00"), "is 2026-11-24T12:00:00Z already"},
		{"close before it opens", show, "09:00:00", closes("09:30:00"), "which is not after it"},
		{"close what has no end", noBounds, "09:00:00", closes("09:00:05"), ""},
		{"open later", show, "09:59:55", opens("11:00:00"), ""},
		{"open earlier", show, "09:00:00", opens("09:00:05"), ""},
		{"open at once", show, "09:00:00", opens("09:00:04"), "less than 5s from now"},
		{"open later within the margin", show, "09:59:56", opens("11:00:00"), "less than 5s from now"},
		{"open what is open", show, "10:00:00", opens("11:00:00"), "an instant that has passed is not moved"},
		{"open what has no beginning", noBounds, "09:00:00", opens("11:00:00"), "has no opens_at"},
		{"open after the closing", show, "09:00:00", opens("12:00:00"), "which is not after it"},
		{"by nobody", show, "11:00:00", nameless, "by: is missing"},
		{"for no reason", show, "11:00:00", silent, "reason: text_forbidden"},
		{"a faulty file", show + "colour: red\n", "11:00:00", closes("13:00:00"), "show.yaml"},
		{"a clock that is wrong", show + "amendments:\n- {at: 2026-11-24T11:30:00Z, by: A, reason: B, closes_at: 2026-11-24T12:30:00Z}\n",
			"11:00:00", closes("13:00:00"), "a clock is wrong"},
		{"what was amended and has passed", show + "amendments:\n- {at: 2026-11-24T11:00:00Z, by: A, reason: B, closes_at: 2026-11-24T11:30:00Z}\n",
			"11:45:00", closes("12:30:00"), "an instant that has passed is not moved"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Amend("show", []byte(test.file), test.change, instant(test.now), margin)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Whatever a file looks like, an amendment of it is what was asked for and no
// more, or it is refused.
func FuzzAmend(f *testing.F) {
	f.Add([]byte(show), "Ana", "why")
	f.Add([]byte(show+"amendments:\n- {at: 2026-11-24T09:00:00Z, by: Luis, opens_at: 2026-11-24T10:30:00Z, reason: late}\n"), "- a: b", "# no")
	f.Add([]byte(show+"amendments:\n  # first\n  - at: 2026-11-24T09:00:00Z\n    by: Luis\n    opens_at: 2026-11-24T10:30:00Z\n    reason: |-\n      late\n"), "'", "|")
	f.Fuzz(func(t *testing.T, file []byte, by, reason string) {
		change := Change{events.ClosesAt, instant("13:00:00"), by, reason}
		before, err := readContest("show.yaml", "show", file, true)
		if err != nil {
			return
		}
		amended, err := Amend("show", file, change, instant("11:00:00"), time.Second)
		if err != nil {
			return
		}
		after, err := readContest("show.yaml", "show", amended, true)
		if err != nil || !after.ClosesAt.Equal(change.To) || len(after.Amendments) != len(before.Amendments)+1 {
			t.Errorf("%s is amended to %s: %+v, %v", file, amended, after.Amendments, err)
		}
	})
}
