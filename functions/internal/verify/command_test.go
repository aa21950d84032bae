package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/seal"
	"marimba/events/seal/archive"
)

// ran is what a command wrote, and how it ended.
func ran(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := command(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// laid is an archive in a file.
func laid(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rock.tar.gz")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// verify ends well only if all holds, from a file and from an address, and says the
// same for machines.
func TestVerifyCommand(t *testing.T) {
	m := newMade(300)
	var data bytes.Buffer
	key := m.write(t, &data)
	p := unpack(t, data.Bytes())
	p.replace(t, "statement.json", `"counted":300`, `"counted":301`)
	whole, edited := laid(t, data.Bytes()), laid(t, p.pack(t))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v1/contests/rock/archive" {
			http.NotFound(w, req)
			return
		}
		_, _ = w.Write(data.Bytes())
	}))
	defer server.Close()

	for _, of := range []string{whole, server.URL + "/v1/contests/rock/archive"} {
		out, err := ran(t, "verify", of, "--key", key)
		if err != nil || !strings.Contains(out, "rock, 300 votes") || !strings.Contains(out, "All of it holds.") || strings.Contains(out, "NO") {
			t.Errorf("%s: %v\n%s", of, err, out)
		}
	}
	out, err := ran(t, "verify", edited)
	if err == nil || !strings.Contains(err.Error(), "statement, counts") || !strings.Contains(out, "NO") ||
		!strings.Contains(out, "✗ the statement counts 301 votes, the log 300") || strings.Contains(out, "All of it holds") {
		t.Errorf("of an edited one: %v\n%s", err, out)
	}
	out, err = ran(t, "verify", "--json", edited)
	var r Report
	if err == nil || json.Unmarshal([]byte(out), &r) != nil || r.Holds || r.check(countsAgree).Holds || !r.check(tilesHold).Holds || r.Votes != 300 {
		t.Errorf("for machines: %v\n%s", err, out)
	}
	for _, of := range []string{filepath.Join(t.TempDir(), "none"), server.URL + "/none", "http://127.0.0.1:1/archive"} {
		if _, err := ran(t, "verify", of); err == nil {
			t.Errorf("%s is verified", of)
		}
	}
}

// house answers about one receipt as results does.
func house(t *testing.T, change func(map[string]any)) (address, receipt string, secret seal.Secret, key string) {
	t.Helper()
	receipt = "0193a7f0-2c4e-7b1a-9d3e-5f6a7b8c9d0e.17"
	secret = seal.NewSecrets([]byte("x")).Of("rock", receipt)
	m := newMade(300)
	m.line = func(i int) archive.Line {
		l := lineOf(i)
		if i == 42 {
			l.Salt = secret.Salt()
		}
		return l
	}
	var data bytes.Buffer
	key = m.write(t, &data)
	p := unpack(t, data.Bytes())
	entries := make(tiles)
	for _, e := range p {
		if name, ok := seal.ParseTileName(e.name); ok && name.Level >= 0 {
			entries[seal.TileName{Level: name.Level, Index: name.Index}] = []byte(e.data)
		}
	}
	hashes, err := seal.Inclusion(300, 42, entries)
	if err != nil {
		t.Fatal(err)
	}
	o := m.line(42).Opening
	answer := map[string]any{
		"receipt": receipt, "contest": "rock", "channel": o.Channel, "name": o.Name, "album": o.Album, "year": o.Year, "rank": json.Number(events.FormatRank(o.Rank)), "state": "counted",
		"proof": map[string]any{
			"index": 42, "size": 300, "hashes": hashes, "commitment": o.Commit(secret.Salt()), "salt": secret.Salt().String(),
			"checkpoint": p.at(t, "checkpoint").data, "key": key,
		},
	}
	if change != nil {
		change(answer)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v1/receipts/"+receipt || req.Header.Get("Receipt-Secret") != secret.String() {
			http.Error(w, `{"code":"secret_wrong"}`, http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, receipt, secret, key
}

type tiles map[seal.TileName][]byte

func (t tiles) Tile(level int, index uint64, width int) ([]byte, error) {
	return t[seal.TileName{Level: level, Index: index}][:width*seal.HashSize], nil
}

// The proof of a receipt is checked by what its holder knows, and the house is
// believed in nothing.
func TestReceiptCommand(t *testing.T) {
	at, receipt, secret, key := house(t, nil)
	link := at + "/recibo/" + receipt + "#" + secret.String()
	for _, args := range [][]string{
		{"verify", at, "--receipt", receipt, "--secret", secret.String(), "--key", key}, {"verify", link}, {"verify", link, "--key", key},
	} {
		out, err := ran(t, args...)
		if err != nil || !strings.Contains(out, "The vote is in the public log.") || !strings.Contains(out, `leaf 42, counted, "Bohemia Suburbana"`) {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
	if _, err := ran(t, "verify", at, "--receipt", receipt, "--secret", strings.Repeat("A", 22)); err == nil || !strings.Contains(err.Error(), "secret_wrong") {
		t.Errorf("with a wrong secret: %v", err)
	}
	if _, err := ran(t, "verify", at, "--receipt", receipt, "--secret", "short"); err == nil {
		t.Error("with a short secret it is asked")
	}
	proof := func(a map[string]any) map[string]any { return a["proof"].(map[string]any) }
	other := newMade(300)
	other.seed = 9
	p := unpack(t, other.bytes(t))
	for name, test := range map[string]struct {
		change func(map[string]any)
		check  string
	}{
		"another vote":       {func(a map[string]any) { a["name"] = "Alux Nahual" }, "commitment"},
		"another rank":       {func(a map[string]any) { a["rank"] = 9.5 }, "commitment"},
		"another salt":       {func(a map[string]any) { proof(a)["salt"] = strings.Repeat("A", 22) }, "commitment"},
		"another leaf":       {func(a map[string]any) { proof(a)["index"] = 41 }, "inclusion"},
		"a hash less":        {func(a map[string]any) { proof(a)["hashes"] = proof(a)["hashes"].([]seal.Hash)[1:] }, "inclusion"},
		"another size":       {func(a map[string]any) { proof(a)["size"] = 301 }, "checkpoint"},
		"another contest":    {func(a map[string]any) { a["contest"] = "pop" }, "checkpoint"},
		"another key's":      {func(a map[string]any) { proof(a)["checkpoint"] = p.at(t, "checkpoint").data }, "checkpoint"},
		"another key":        {func(a map[string]any) { proof(a)["key"] = p.at(t, "key").data }, "checkpoint"},
		"another receipt":    {func(a map[string]any) { a["receipt"] = "x.1" }, "state"},
		"no proof at all":    {func(a map[string]any) { delete(a, "proof") }, "state"},
		"nothing of a proof": {func(a map[string]any) { a["proof"] = map[string]any{} }, "checkpoint"},
	} {
		at, receipt, secret, key := house(t, test.change)
		out, err := ran(t, "verify", at, "--receipt", receipt, "--secret", secret.String(), "--key", key, "--json")
		var got Proven
		if jsonErr := json.Unmarshal([]byte(out), &got); err == nil || jsonErr != nil || got.Holds {
			t.Errorf("%s: it holds: %v\n%s", name, err, out)
			continue
		}
		i := slices.IndexFunc(got.Checks, func(c *Check) bool { return c.Name == test.check })
		if got.Checks[i].Holds {
			t.Errorf("%s: %s holds\n%s", name, test.check, out)
		}
	}
}

// Under other rules sealed votes make another board: the winner changes or not, and
// by what margin, is told; what is annulled is in neither.
func TestWhatIf(t *testing.T) {
	path := laid(t, newMade(700).bytes(t))
	annulled := newMade(700)
	annulled.line, annulled.acts = annulledHTTP, annulHTTP
	without := laid(t, annulled.bytes(t))
	for name, test := range map[string]struct {
		of           string
		args         []string
		changes      bool
		winners      string
		margin, was  string
		left, counts int64
	}{
		// Of 700 votes Alux Nahual has 280 (12 points each), Viento en Contra 280, and
		// Bohemia Suburbana 140 (10 points).
		"by votes":           {path, []string{"--method", "votes"}, true, "Alux Nahual, Viento en Contra", "0", "1960", 0, 700},
		"by mean":            {path, []string{"--method", "mean"}, false, "Alux Nahual", "1", "1960", 0, 700},
		"by sum":             {path, []string{"--method", "sum"}, true, "Viento en Contra", "980", "1960", 0, 700},
		"without its band":   {path, []string{"--without", "band=ALUX NAHUAL"}, true, "Bohemia Suburbana", "840", "1960", 280, 420},
		"without an album":   {path, []string{"--without", "album=conquista"}, false, "Alux Nahual", "280", "1960", 140, 560},
		"without a channel":  {path, []string{"--without", "channel=http"}, false, "Alux Nahual", "1470", "1960", 175, 525},
		"capped":             {path, []string{"--cap", "10"}, false, "Alux Nahual", "80", "1960", 580, 120},
		"capped, and others": {path, []string{"--cap", "10", "--without", "channel=http", "--without", "channel=grpc", "--method", "votes"}, true, "Alux Nahual, Bohemia Suburbana, Viento en Contra", "0", "1960", 640, 60},
		"what is annulled":   {without, []string{"--method", "points", "--cap", "1000000"}, false, "Alux Nahual", "1470", "1470", 0, 525},
	} {
		out, err := ran(t, append([]string{"whatif", test.of, "--json"}, test.args...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got Told
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if got.Changes != test.changes || strings.Join(got.New.Winners, ", ") != test.winners || got.New.Margin != test.margin || got.Old.Margin != test.was ||
			got.LeftOut != test.left || got.New.Votes != test.counts {
			t.Errorf("%s: changes %v, %q by %s, it was by %s; %d left out, %d count", name, got.Changes, got.New.Winners, got.New.Margin, got.Old.Margin, got.LeftOut, got.New.Votes)
		}
	}
	out, err := ran(t, "whatif", path, "--method", "sum")
	if err != nil || !strings.Contains(out, "The winner changes: Viento en Contra, ahead by 980 (sum); it was Alux Nahual, by 1960 (points).") ||
		!strings.Contains(out, "0 of 700 votes are left out") {
		t.Errorf("for people: %v\n%s", err, out)
	}
}

// whatif tells nothing of an archive that does not hold, and of no rules that there
// are not.
func TestWhatIfRefusals(t *testing.T) {
	p := unpack(t, newMade(50).bytes(t))
	p.lines(t, func(l []string) []string { return l[:49] })
	cut := laid(t, p.pack(t))
	whole := laid(t, newMade(50).bytes(t))
	m := newMade(50)
	m.text = strings.Replace(strings.Replace(contestText, "points: [12, 10, 8]\n", "", 1), "standing: points\ntie_break: [votes]", "standing: votes", 1)
	pointless := laid(t, m.bytes(t))
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{cut, "--method", "votes"}, "it does not hold: openings, size"},
		{[]string{whole}, "say what is to be otherwise"},
		{[]string{whole, "--method", "luck"}, `"luck" is none of votes`},
		{[]string{whole, "--cap", "-1"}, "less than 1"},
		{[]string{whole, "--without", "year=1982"}, `"year=1982" is none of`},
		{[]string{whole, "--without", "band="}, "is none of"},
		{[]string{whole, "--without", "channel=fax"}, "none of the channels"},
		{[]string{pointless, "--method", "points"}, "no table of points"},
	} {
		out, err := ran(t, append([]string{"whatif"}, test.args...)...)
		if err == nil || !strings.Contains(err.Error(), test.says) || out != "" {
			t.Errorf("%q: %v\n%s", test.args[1:], err, out)
		}
	}
}

// No more is read of an archive than it may be long.
func TestArchivesAreBounded(t *testing.T) {
	l := &limited{strings.NewReader("abcdef"), 4}
	buf := make([]byte, 10)
	if n, err := l.Read(buf); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := l.Read(buf); n != 0 || err != errTooLong {
		t.Errorf("%d, %v", n, err)
	}
}
