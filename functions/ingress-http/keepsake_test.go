package main

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/publish"
)

// kept is the keepsake of a vote that a house cast: by number, of the box and in it.
func kept(h *house, at, index int) keepsake {
	b := h.twin.boxes[at]
	secret := secrets.Of(b.contest, events.Receipt("box-"+string(rune('0'+at)), index))
	return keepsake{secret.String(), seal.OpeningOf(b.contest, b.channel, &b.votes[index]).Commit(secret.Salt()).String()}
}

// plain are receipts without their keepsakes.
func plain(of []rowReceipt) []rowReceipt {
	var out []rowReceipt
	for _, r := range of {
		r.keepsake = keepsake{}
		out = append(out, r)
	}
	return out
}

// Whatever way a vote came, its answer holds the secret of its receipt and the
// commitment to what was cast: the roster's spelling, and the door's own channel.
func TestAnswersHoldKeepsakes(t *testing.T) {
	event := []string{"Ce-Specversion: 1.0", "Ce-Id: e-1", "Ce-Source: /test", "Ce-Type: vote", "Ce-Subject: rock", "Accept: application/json"}
	one := `{"name":"ALUX","album":"conquista","year":1982,"rank":9.5,"voter":"Rosa"}`
	for say, c := range map[string]struct {
		path, body string
		headers    []string
	}{
		"JSON":  {rock, one, nil},
		"form":  {rock, formVote, []string{form}},
		"older": {"/wasm?contest=rock", one, nil},
		"event": {"/", one, event},
	} {
		h := newHouse()
		r := wants(t, say, h.post(t, c.path, c.body, c.headers...), http.StatusAccepted, "", "")
		if want := kept(h, 0, 0); r.keepsake != want || h.twin.boxes[0].votes[0].Name != "Alux Nahual" {
			t.Errorf("%s: %+v, want %+v", say, r.keepsake, want)
		}
		if _, ok := seal.ParseSecret(r.Secret); !ok || len(r.Commitment) != 64 {
			t.Errorf("%s: %+v", say, r.keepsake)
		}
	}
}

// A file's receipts have one each, and those of two contests are told apart.
func TestRowsHoldKeepsakes(t *testing.T) {
	h := newHouse()
	body := `[{"name":"A","year":1982,"rank":1},{"name":"Alux","album":"13","year":1982,"rank":1,"contest":"rock"},{"name":"A","year":1982,"rank":1}]`
	r := wants(t, "file", h.post(t, "/insert?receipts=1", body), http.StatusAccepted, "", "")
	if len(r.Receipts) != 3 {
		t.Fatalf("%+v", r)
	}
	for i, want := range []keepsake{kept(h, 0, 0), kept(h, 1, 0), kept(h, 0, 1)} {
		if r.Receipts[i].keepsake != want {
			t.Errorf("row %d: %+v, want %+v", i+1, r.Receipts[i], want)
		}
	}
	if r.Receipts[0].Commitment == r.Receipts[2].Commitment {
		t.Error("two votes of one content have one commitment")
	}
}

// A KafkaSource that posts an event gets success without a body, as before.
func TestBareAnswersStayBare(t *testing.T) {
	h := newHouse()
	w := h.post(t, "/", vote, "Ce-Specversion: 1.0", "Ce-Id: e-1", "Ce-Source: /test", "Ce-Type: vote", "Ce-Subject: rock")
	if w.Code != http.StatusAccepted || w.Body.Len() > 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// The page of a plain form leads to the receipt with its secret behind #, which no
// browser sends to a server; without results' address it shows the secret.
func TestFormPageHoldsSecret(t *testing.T) {
	h := newHouse()
	h.results = "https://results.example.org"
	text := h.post(t, rock, formVote, form, browser).Body.String()
	secret := kept(h, 0, 0).Secret
	if !strings.Contains(text, `<a href="https://results.example.org/recibo/box-0.0#`+secret+`">`) || !strings.Contains(text, "<code>"+secret+"</code>") {
		t.Errorf("no secret in %s", text)
	}
	refused := newHouse().post(t, rock, "name=Nobody&album=x&year=1982&rank=1", form, browser).Body.String()
	if strings.Contains(refused, "Secreto") {
		t.Errorf("a refusal has a secret: %s", refused)
	}
}

// What ingress-grpc made of a vote is passed on; what is no keepsake is left out.
func TestFrontPassesKeepsakesOn(t *testing.T) {
	secret, commitment := make([]byte, 16), make([]byte, 32)
	secret[0], commitment[31] = 0xfb, 0xab
	want := keepsake{base64.RawURLEncoding.EncodeToString(secret), hex.EncodeToString(commitment)}
	for say, c := range map[string]struct {
		secret, commitment []byte
		want               keepsake
	}{
		"made":              {secret, commitment, want},
		"of before":         {nil, nil, keepsake{}},
		"a short secret":    {secret[1:], commitment, keepsake{}},
		"a long commitment": {secret, append(commitment, 0), keepsake{}},
	} {
		h, door := newFrontHouse(t)
		door.secret, door.commitment = c.secret, c.commitment
		one := wants(t, say, h.post(t, "/grpc", vote), http.StatusAccepted, "", "")
		many := wants(t, say, h.post(t, "/grpc?receipts=1", "["+vote+","+vote+"]"), http.StatusAccepted, "", "")
		if one.keepsake != c.want || len(many.Receipts) != 2 || many.Receipts[1].keepsake != c.want {
			t.Errorf("%s: %+v, %+v", say, one.keepsake, many.Receipts)
		}
	}
}

// They are made for answers alone: a file without receipts costs no hash more.
func BenchmarkKeepsake(b *testing.B) {
	v := events.Vote{Name: "Alux Nahual", Album: "Conquista", Year: 1982, Rank: 200}
	o := outcome{contest: "rock", Receipt: publish.Receipt{Receipt: "0196ccd5-7d3b-7000-8000-000000000002.0"}, cast: cast{&v, events.ByHTTP}}
	b.ReportAllocs()
	for b.Loop() {
		o.keepsakeOf(secrets)
	}
}
