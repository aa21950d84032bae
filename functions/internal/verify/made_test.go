package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
	"marimba/events/rules/rulestest"
	"marimba/events/seal"
	"marimba/events/seal/archive"
	"marimba/functions/internal/board"
)

const contestText = `id: rock
title: {es: Roca, en: Rock}
bands:
  - name: Alux Nahual
    albums: [{title: Conquista, year: 1982}, {title: Alto al Fuego}]
  - name: Bohemia Suburbana
    albums: [{title: Sombras en el jardín}]
  - name: Viento en Contra
    albums: [{title: Cero}]
rank_mode: position
rank_max: 10
opens_at: 2026-11-01T00:00:00Z
closes_at: 2026-11-24T00:00:00Z
points: [12, 10, 8]
standing: points
tie_break: [votes]
`

const origin = "votes.example.org/rock"

var madeAt = time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)

// lineOf is vote i of a contest. Alux Nahual has 2 of 5 votes and most points,
// Viento en Contra as many votes, mostly without points.
func lineOf(i int) archive.Line {
	l := archive.Line{Mark: archive.Counted}
	binary.BigEndian.PutUint64(l.Salt[:], uint64(i+1))
	o := &l.Opening
	o.Contest, o.Channel, o.Year = "rock", events.Channels[i%4], int32(1980+i%3)
	switch i % 5 {
	case 0, 1:
		o.Name, o.Album, o.Rank = "Alux Nahual", []string{"Conquista", "Alto al Fuego"}[i%2], 100
	case 2:
		o.Name, o.Album, o.Rank = "Bohemia Suburbana", "Sombras en el jardín", 200
	default:
		o.Name, o.Album, o.Rank = "Viento en Contra", "Cero", int32(300+100*(i%4))
	}
	return l
}

// made is what an archive is made of.
type made struct {
	text  string // of the contest's file
	own   []byte
	votes int
	line  func(i int) archive.Line // as it is sealed
	acts  func(m *made) []string   // of annulment; nil: none
	seed  byte                     // of the key
	state func(map[string]any)     // changes the statement

	contest events.Contest
	tally   board.Histogram
	counted map[events.Channel]int64
	gone    int64 // replaced
}

func newMade(votes int) *made {
	return &made{text: contestText, votes: votes, line: lineOf, seed: 7}
}

// write writes the archive, all of which agrees.
func (m *made) write(t testing.TB, to io.Writer) (key string) {
	t.Helper()
	var err error
	if m.contest, err = config.ReadContest("rock", []byte(m.text)); err != nil {
		t.Fatal(err)
	}
	tiles := make(map[seal.TileName][]byte)
	keep := func(tile seal.Tile) { tiles[seal.TileName{Level: tile.Level, Index: tile.Index}] = tile.Data }
	tree := seal.NewTree(keep)
	m.tally, m.counted, m.gone = make(board.Histogram), make(map[events.Channel]int64), 0
	for i := range m.votes {
		l := m.line(i)
		tree.Append(l.Opening.Commit(l.Salt))
		m.counted[l.Opening.Channel]++
		if l.Mark == archive.Replaced {
			m.gone++
		} else {
			m.tally.Add(l.Opening.Name, l.Opening.Album, l.Opening.Rank, 1)
		}
	}
	for _, tile := range tree.Edge() {
		keep(tile)
	}
	seed := [ed25519.SeedSize]byte{m.seed}
	signer, err := seal.Signer(seed, origin)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := seal.Checkpoint{Origin: origin, Size: tree.Size(), Root: tree.Root()}
	signed, err := seal.Sign(checkpoint, signer)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = seal.VerifierKey(seed, origin); err != nil {
		t.Fatal(err)
	}
	f := archive.Files{
		Head: archive.Head{Contest: "rock", Origin: origin, MadeAt: madeAt}, Key: key, Checkpoint: signed, Contest: []byte(m.text),
		Rules: rules.Code(), Own: m.own, Statement: m.statement(t, checkpoint), Annulments: m.book(t),
	}
	w, err := archive.NewWriter(to, f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.votes {
		if err := w.Add(m.line(i)); err != nil {
			t.Fatal(err)
		}
	}
	err = w.Tiles(func(name seal.TileName) ([]byte, error) {
		data := tiles[seal.TileName{Level: name.Level, Index: name.Index}]
		if name.Level != seal.Entries {
			return data, nil
		}
		var out []byte
		for entry := range slices.Chunk(data, seal.HashSize) {
			out = seal.AppendEntry(out, seal.Hash(entry))
		}
		return out, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return key
}

func (m *made) bytes(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	m.write(t, &out)
	return out.Bytes()
}

// statement is the final statement of the votes.
func (m *made) statement(t testing.TB, checkpoint seal.Checkpoint) []byte {
	t.Helper()
	channels, total := make(map[events.Channel]map[events.State]int64), int64(0)
	for _, channel := range events.Channels {
		channels[channel] = map[events.State]int64{events.Counted: m.counted[channel], events.Refused: 2}
		total += m.counted[channel]
	}
	s := map[string]any{
		"contest": "rock", "made_at": madeAt, "closes_at": m.contest.ClosesAt, "contest_sha256": m.contest.Revision,
		"rules_sha256": rules.Digest(), "tally_sha256": m.tally.Folded().Digest(),
		"votes": map[string]any{
			"cast": total + 8, "channels": channels, "replaced": m.gone,
			"states": map[events.State]int64{events.Counted: total, events.Refused: 8},
		},
		"board": board.Make(m.contest, m.tally.Folded(), madeAt),
		"log":   map[string]any{"origin": checkpoint.Origin, "size": checkpoint.Size, "root": checkpoint.Root.String()},
	}
	if m.state != nil {
		m.state(s)
	}
	return canonical(t, s)
}

func canonical(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	value := jsontext.Value(text)
	if err := value.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	return value
}

// book is the contest's acts of annulment, as they are kept.
func (m *made) book(t testing.TB) []byte {
	t.Helper()
	var acts []string
	if m.acts != nil {
		acts = m.acts(m)
	}
	out := []byte(`{"contest":"rock","acts":[`)
	for i, text := range acts {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, text...)
	}
	return append(out, ']', '}')
}

// annulHTTP annuls what came by HTTP, by three acts of which each names the one
// before it.
func annulHTTP(m *made) []string {
	annulled := make(board.Histogram)
	var n int64
	for i := range m.votes {
		if l := m.line(i); l.Mark == archive.Annulled {
			annulled.Add(l.Opening.Name, l.Opening.Album, l.Opening.Rank, 1)
			n++
		}
	}
	var lines []map[string]any
	for band, albums := range annulled {
		for album, ranks := range albums {
			for rank, votes := range ranks {
				lines = append(lines, map[string]any{"band": band, "album": album, "rank_hundredths": rank, "votes": votes})
			}
		}
	}
	effect, _ := json.Marshal(map[string]any{
		"in_force": []int{1}, "channels": map[events.Channel]int64{events.ByHTTP: n}, "replaced": 0, "annulled": lines,
		"board_before": board.Make(m.contest, m.tally.Folded(), madeAt), "board_after": board.Make(m.contest, m.tally.Folded().Less(annulled), madeAt),
	})
	first := `{"contest":"rock","number":1,"kind":"propose","by":"Ana","reason":"bots <script>","filter":{"channel":"http"},"previous_sha256":""}`
	second := fmt.Sprintf(`{"contest":"rock","number":2,"kind":"approve","case":1,"by":"Eva","previous_sha256":%q}`, digestOf([]byte(first)))
	third := fmt.Sprintf(`{"contest":"rock","number":3,"kind":"approve","case":1,"by":"Luis","effect":%s,"previous_sha256":%q}`, effect, digestOf([]byte(second)))
	return []string{first, second, third}
}

// annulledHTTP marks what came by HTTP as annulled.
func annulledHTTP(i int) archive.Line {
	l := lineOf(i)
	if l.Opening.Channel == events.ByHTTP {
		l.Mark = archive.Annulled
	}
	return l
}

// withOwnRules is a contest with a module of its own, which admits no live albums.
func withOwnRules(t testing.TB, votes int) *made {
	t.Helper()
	m := newMade(votes)
	own := rulestest.Example(t)
	m.own = own.Code
	m.text += "rules: own.wasm\nrules_sha256: " + digestOf(own.Code) + "\n"
	return m
}
