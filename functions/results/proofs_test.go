package main

import (
	"fmt"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/journal"
)

// secretOf is the header with the secret of a receipt of contest rock.
func secretOf(receipt string) string {
	return secretHeader + ": " + seal.NewSecrets([]byte(receiptSecret.Reveal())).Of("rock", receipt).String()
}

// proven is a receipt's answer, as its holder sees it.
type proven struct {
	seenRow
	Contest string
	Year    int32
	Album   string
	Proof   *struct {
		Index, Size     uint64
		Hashes          []seal.Hash
		Commitment      seal.Hash
		Salt            string
		Checkpoint, Key string
	}
}

// check holds a proof to what the vote is for, as anybody can: with the opening, the
// salt, and the log's key.
func (p proven) check(t *testing.T, want journal.Row) {
	t.Helper()
	if p.Proof == nil {
		t.Fatalf("%s has no proof", want.Receipt)
	}
	salt, ok := seal.ParseSalt(p.Proof.Salt)
	if entry := seal.OpeningOf("rock", want.Channel, &want.Vote).Commit(salt); !ok || entry != p.Proof.Commitment {
		t.Errorf("%s: the commitment is %s, of the vote %s", want.Receipt, p.Proof.Commitment, entry)
	}
	verifier, err := seal.Verifier(p.Proof.Key)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := seal.Open(p.Proof.Checkpoint, verifier)
	if err != nil || checkpoint.Size != p.Proof.Size {
		t.Fatalf("%s: checkpoint %+v of %d, %v", want.Receipt, checkpoint, p.Proof.Size, err)
	}
	if err := seal.VerifyInclusion(checkpoint, p.Proof.Index, p.Proof.Commitment, p.Proof.Hashes); err != nil {
		t.Errorf("%s: %v", want.Receipt, err)
	}
}

// rowsOf are n counted votes.
func rowsOf(n int) []journal.Row {
	rows := make([]journal.Row, n)
	for i := range rows {
		rows[i] = rowAt(events.Receipt(fmt.Sprint("box", i/500), i%500))
		rows[i].Vote.Rank = int32(100 * (1 + i%10))
	}
	return rows
}

// Who has a receipt's secret is shown what the vote is for, and a proof that it is in
// the log; who has not, neither.
func TestProofOfAVote(t *testing.T) {
	for _, n := range []int{1, 2, 255, 256, 257, 700} {
		h := newHouse(t.Context())
		h.mongo.rows = rowsOf(n)
		h.log.seal(t, h.mongo.rows...)
		for _, i := range []int{0, n / 2, n - 1} {
			want := h.mongo.rows[i]
			answer := h.get(t, "/v1/receipts/"+want.Receipt, secretOf(want.Receipt))
			if got := answer.Header().Get("Cache-Control"); got != forNobody {
				t.Errorf("what is shown to who has the secret may be kept: %q", got)
			}
			got := read[proven](t, answer)
			if got.Receipt != want.Receipt || got.Name != "Trébol" || got.Album != "Uno" || got.ID != nil || got.VoterKey != nil {
				t.Errorf("row is %+v", got)
			}
			got.check(t, want)
			full := read[proven](t, h.get(t, "/v1/receipts/"+want.Receipt, bearer))
			full.check(t, want)
			if full.ID == nil {
				t.Error("with the token the id is not shown")
			}
			public := h.get(t, "/v1/receipts/"+want.Receipt).Body.String()
			if public != `{"receipt":"`+want.Receipt+`","contest":"rock","state":"counted"}`+"\n" {
				t.Errorf("without the secret the answer is %s", public)
			}
		}
	}
}

// A secret that is not the receipt's opens nothing, whatever is wrong with it.
func TestWrongSecrets(t *testing.T) {
	h := newHouse(t.Context())
	h.mongo.rows = rowsOf(3)
	right := strings.TrimPrefix(secretOf("box0.0"), secretHeader+": ")
	for _, wrong := range []string{
		strings.TrimPrefix(secretOf("box0.1"), secretHeader+": "), "", "x", right[:21], right + "A", right + " " + right, strings.ToUpper(right), strings.Repeat("A", 22),
	} {
		refused(t, h.get(t, "/v1/receipts/box0.0", secretHeader+": "+wrong), 403, events.SecretWrong)
	}
	if answer := h.get(t, "/v1/receipts/box0.0", secretHeader+": "+right); answer.Code != 200 {
		t.Errorf("with the right one the answer is %d", answer.Code)
	}
	// Nothing is known of a vote on its way, also not whether the secret is its.
	box := idOf(noon)
	if got := h.get(t, "/v1/receipts/"+box+".1", secretHeader+": "+right).Body.String(); got != `{"receipt":"`+box+`.1","state":"pending","received_at":"2026-11-24T12:00:00Z"}`+"\n" {
		t.Errorf("of a vote on its way the answer is %s", got)
	}
}

// A vote that was not counted, or is not in the log yet, has no proof: also while the
// log has it and its head is not there.
func TestNoProofYet(t *testing.T) {
	h := newHouse(t.Context())
	h.mongo.rows = rowsOf(3)
	h.mongo.rows[2].State = events.Duplicate
	for _, sealedRows := range []int{0, 1, 2} {
		h.log.seal(t, h.mongo.rows[:sealedRows]...)
		for i := range 3 {
			receipt := h.mongo.rows[i].Receipt
			got := read[proven](t, h.get(t, "/v1/receipts/"+receipt, secretOf(receipt)))
			if (got.Proof != nil) != (i < sealedRows) {
				t.Errorf("of %d sealed votes, vote %d has the proof %+v", sealedRows, i, got.Proof)
			}
		}
	}
	h.log.head.Size = 1 // the batch of the second vote has not come to the head
	if got := read[proven](t, h.get(t, "/v1/receipts/box0.1", secretOf("box0.1"))); got.Proof != nil {
		t.Errorf("proof is %+v", got.Proof)
	}
}

// What is withheld of a contest's results is shown to who has the secret of the vote.
func TestSecretOpensWhatIsWithheld(t *testing.T) {
	h := secretive(t, hiddenUntilFinal)
	h.log.seal(t, h.mongo.rows...)
	got := read[proven](t, h.get(t, "/v1/receipts/late.0", secretOf("late.0")))
	if got.Name != "Otra" {
		t.Errorf("row is %+v", got)
	}
	got.check(t, h.mongo.rows[0])
}

// A log that holds something else than the vote is no proof of it: that is not passed
// off as one.
func TestLogOfAnotherVote(t *testing.T) {
	h := newHouse(t.Context())
	rows := rowsOf(2)
	h.log.seal(t, rows...)
	rows[1].Vote.Name = "Otra"
	h.mongo.rows = rows
	refused(t, h.get(t, "/v1/receipts/box0.1", secretOf("box0.1")), 503, events.Unavailable)
	h.log.leave(errAway)
	refused(t, h.get(t, "/v1/receipts/box0.0", secretOf("box0.0")), 503, events.Unavailable)
}

// Public rows of the log do not join a vote to a receipt.
func TestPublicRowsNameNoReceipt(t *testing.T) {
	h := full(t)
	h.mongo.rows[0].Way = journal.Way{Event: "r/accepted", Topic: events.VotesAccepted, Place: "1/2"}
	keys := make(map[string]bool)
	for _, path := range []string{"/logs", "/logs?after=", "/logs?format=ndjson&limit=5&after=", "/logs?format=csv&limit=5&after="} {
		text := h.get(t, path).Body.String()
		if strings.Contains(text, "r.0") || strings.Contains(text, "receipt") || strings.Contains(text, "way") || !strings.Contains(text, "Trébol") {
			t.Errorf("%s tells of a receipt:\n%s", path, text)
		}
	}
	type page struct {
		Rows []struct{ Key, Receipt string }
	}
	for _, row := range read[page](t, h.get(t, "/logs?after=")).Rows {
		if len(row.Key) != 22 || keys[row.Key] {
			t.Errorf("key is %q", row.Key)
		}
		keys[row.Key] = true
	}
	sent, err := h.tails.frame(t.Context(), "")
	if err != nil || strings.Contains(string(sent.text), "r.0") || strings.Contains(string(sent.text), "receipt") {
		t.Errorf("the live tail is %s, %v", sent.text, err)
	}
	if row := read[page](t, h.get(t, "/logs?after=", bearer)).Rows[0]; row.Receipt != "r.0" || !keys[row.Key] {
		t.Errorf("with the token the row is %+v, which is not known again", row)
	}
}
