package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/events/rules"
	"marimba/events/seal"
	"marimba/events/seal/archive"
	"marimba/functions/internal/annul"
)

// final is a house whose contest rock has ended with n votes, all of which are
// sealed.
func final(t *testing.T, n int) *house {
	t.Helper()
	h := newHouse(t.Context())
	h.mongo.rows = rowsOf(n)
	for i := range h.mongo.rows {
		h.mongo.rows[i].Channel = events.Channels[i/500%4] // of a box
	}
	h.log.seal(t, h.mongo.rows...)
	h.mongo.state("rock", statedOf(t, n, "id: rock\n"))
	h.now = func() time.Time { return noon.Add(2 * time.Hour) }
	return h
}

func statedOf(t *testing.T, n int, contest string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"contest_sha256": hexOf(contest), "votes": map[string]any{"states": map[string]int{"counted": n}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unpacked reads an archive to its end.
func unpacked(t *testing.T, data []byte, n int) (archive.Files, []archive.Line) {
	t.Helper()
	a, err := archive.Open(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var lines []archive.Line
	tree := seal.NewTree(nil)
	for line, err := range a.Openings() {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
		tree.Append(line.Opening.Commit(line.Salt))
	}
	for _, err := range a.Tiles(uint64(n)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	verifier, err := seal.Verifier(a.Files.Key)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := seal.Open(a.Files.Checkpoint, verifier)
	if err != nil || checkpoint.Root != tree.Root() || checkpoint.Size != uint64(n) {
		t.Fatalf("the openings do not make the checkpoint %+v: %v", checkpoint, err)
	}
	return a.Files, lines
}

// The archive of a final contest has all its votes, which make the root of the log,
// and nothing that says whose they are.
func TestArchive(t *testing.T) {
	const n = 1300
	h := final(t, n)
	answer := h.get(t, "/v1/contests/rock/archive")
	if answer.Code != 200 || answer.Header().Get("Content-Type") != archive.MediaType || answer.Header().Get("Content-Disposition") != `attachment; filename="rock.tar.gz"` {
		t.Fatalf("answer is %d %v", answer.Code, answer.Header())
	}
	f, lines := unpacked(t, answer.Body.Bytes(), n)
	if f.Contest == nil || string(f.Contest) != "id: rock\n" || !bytes.Equal(f.Rules, rules.Code()) || f.Own != nil ||
		string(f.Statement) != h.mongo.stated["rock"] || string(f.Annulments) != `{"contest":"rock","acts":[]}` || f.Origin != sealOrigin {
		t.Errorf("files are %+v", f)
	}
	for i, line := range lines {
		want := h.mongo.rows[i]
		if line.Opening != seal.OpeningOf("rock", want.Channel, &want.Vote) || line.Mark != archive.Counted {
			t.Fatalf("line %d is %+v", i, line)
		}
	}
	head := h.ask(t, http.MethodHead, "/v1/contests/rock/archive")
	if head.Code != 200 || head.Body.Len() != 0 {
		t.Errorf("its head is %d with %d bytes", head.Code, head.Body.Len())
	}
}

// annul puts an annulment in force, by a proposal and two approvals.
func (h *house) annul(t *testing.T, filter annul.Filter) {
	t.Helper()
	book, err := annul.Read(t.Context(), h.mongo, "rock")
	if err != nil {
		t.Fatal(err)
	}
	for i, act := range []annul.Act{
		{Kind: annul.Propose, By: "Ana", Reason: "bots <b>", Filter: &filter},
		{Kind: annul.Approve, By: "Eva", Case: 1}, {Kind: annul.Approve, By: "Luis", Case: 1, Effect: &annul.Effect{InForce: []int{1}}},
	} {
		act.Contest, act.Number, act.At = "rock", i+1, noon.Add(time.Hour)
		if _, err := book.Add(act); err != nil {
			t.Fatal(err)
		}
		if err := book.Keep(t.Context(), h.mongo); err != nil {
			t.Fatal(err)
		}
	}
}

// Votes that were replaced, and those that are annulled, are marked; the acts of
// annulment are in the bytes that they are kept in.
func TestMarksInAnArchive(t *testing.T) {
	const n = 600
	h := final(t, n)
	rock := twoContests[1]
	rock.Limit = events.Limit{Mode: events.Replace}
	h.contests = roll{twoContests[0], rock}
	for i := range h.mongo.rows {
		v := &h.mongo.rows[i].Vote
		v.ID, v.VoterKey, v.At = fmt.Sprint("v", i), []byte{1, byte(i), byte(i >> 8)}, noon.Add(time.Duration(i)*time.Millisecond)
	}
	h.mongo.rows[7].Vote.VoterKey = h.mongo.rows[550].Vote.VoterKey
	h.annul(t, annul.Filter{Channel: events.Channels[1]})
	f, lines := unpacked(t, h.get(t, "/v1/contests/rock/archive").Body.Bytes(), n)
	for i, line := range lines {
		want := archive.Counted
		switch {
		case i == 7:
			want = archive.Replaced
		case i >= 500:
			want = archive.Annulled
		}
		if line.Mark != want {
			t.Errorf("leaf %d is marked %s, want %s", i, line.Mark, want)
		}
	}
	var acts struct{ Acts []json.RawMessage }
	if err := json.Unmarshal(f.Annulments, &acts); err != nil || len(acts.Acts) != 3 {
		t.Fatalf("annulments are %s, %v", f.Annulments, err)
	}
	for i, text := range acts.Acts {
		if string(text) != h.mongo.acts[i].Text {
			t.Errorf("act %d is %s", i+1, text)
		}
	}
}

// There is no archive before the end, nor one of another contest than was declared,
// nor one without the last votes.
func TestArchiveRefusals(t *testing.T) {
	h := final(t, 10)
	refused(t, h.get(t, "/v1/contests/default/archive"), 404, events.NotFinal)
	refused(t, h.get(t, "/v1/contests/nowhere/archive"), 404, events.ContestUnknown)
	h.mongo.state("rock", statedOf(t, 10, "id: rock\nedited\n"))
	refused(t, h.get(t, "/v1/contests/rock/archive"), 404, events.ContestChanged)
	h.mongo.state("rock", statedOf(t, 11, "id: rock\n"))
	refused(t, h.get(t, "/v1/contests/rock/archive"), 404, events.NotSealed)
	h.mongo.state("rock", statedOf(t, 10, "id: rock\n"))
	h.patience = time.Millisecond
	for range archivesAtOnce {
		h.archives <- struct{}{}
	}
	refused(t, h.get(t, "/v1/contests/rock/archive"), 503, events.Busy)
	for range archivesAtOnce {
		<-h.archives
	}
	if answer := h.get(t, "/v1/contests/rock/archive"); answer.Code != 200 {
		t.Errorf("when there is a place again the answer is %d", answer.Code)
	}
	h.log.leave(errAway)
	refused(t, h.get(t, "/v1/contests/rock/archive"), 503, events.Unavailable)
}

// An archive that cannot be made to its end is broken off: what came of it is not
// taken for the whole.
func TestArchiveBreaksOff(t *testing.T) {
	h := final(t, 1100)
	h.mongo.rows = h.mongo.rows[:1000] // the log of votes has lost a box
	server := httptest.NewServer(h.routes())
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/contests/rock/archive", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(req)
	if err == nil {
		defer answer.Body.Close()
		var got bytes.Buffer
		if _, err = got.ReadFrom(answer.Body); err == nil {
			t.Fatalf("the answer ends well, with %d bytes", got.Len())
		}
	}
	if !strings.Contains(err.Error(), "EOF") {
		t.Errorf("it ends with %v", err)
	}
}

// That a vote is annulled is told to who has its secret: the ruling says by which band
// or channel, and so what the vote is for. Its proof stays.
func TestReceiptOfAnAnnulledVote(t *testing.T) {
	h := final(t, 600)
	h.annul(t, annul.Filter{Band: "trebol"})
	if text := h.get(t, "/v1/receipts/box0.3").Body.String(); text != `{"receipt":"box0.3","contest":"rock","state":"counted"}`+"\n" {
		t.Errorf("without the secret it is %s", text)
	}
	answer := h.get(t, "/v1/receipts/box0.3", secretOf("box0.3"))
	got := read[proven](t, answer)
	if got.State != events.Annulled || !strings.Contains(answer.Body.String(), `"annulled_by":1`) {
		t.Errorf("with it it is %s", answer.Body)
	}
	got.check(t, h.mongo.rows[3])
}
