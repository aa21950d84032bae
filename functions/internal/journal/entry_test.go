package journal

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"marimba/events"
)

// golden is a line as the log holds it. It must stay readable for ever.
const golden = "7\tid.1\tMalacates Trébol Shop\tPaquetecuete\t1997\t950\t1795723200001\tover_limit\t\t\tAAH/\t1795719600000"

// A line that was written once is read as the same vote, and written the same.
func TestGoldenLine(t *testing.T) {
	want := events.Vote{
		Index: 7, ID: "id.1", Name: "Malacates Trébol Shop", Album: "Paquetecuete", Year: 1997, Rank: 950,
		At: time.UnixMilli(1795723200001).UTC(), VoterKey: []byte{0, 1, 0xff}, CastAt: time.UnixMilli(1795719600000).UTC(),
	}
	v, state, err := parseLine(golden)
	if err != nil || state != events.OverLimit || !reflect.DeepEqual(v, want) {
		t.Errorf("read as %+v, %s, %v", v, state, err)
	}
	if got := string(appendLine(nil, &want, events.OverLimit)); got != golden {
		t.Errorf("written as %q", got)
	}
	// A later version may have added columns.
	if v, _, err := parseLine(golden + "\tnew"); err != nil || !reflect.DeepEqual(v, want) {
		t.Errorf("with one more column: %+v, %v", v, err)
	}
}

// A damaged document is an error that names it, and not a vote of zeros.
func TestDamagedDocument(t *testing.T) {
	for name, line := range map[string]string{
		"empty":            "",
		"a column missing": golden[:strings.LastIndexByte(golden, '\t')],
		"a year of text":   strings.Replace(golden, "1997", "MCMXCVII", 1),
		"a time too late":  strings.Replace(golden, "1795723200001", "99999999999999999999", 1),
		"a broken key":     strings.Replace(golden, "AAH/", "%", 1),
		"a broken time":    golden + "x",
	} {
		_, err := document{ID: "box-1/accepted", Votes: golden + "\n" + line}.entry()
		if err == nil || !strings.Contains(err.Error(), "box-1/accepted in the log: vote 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
