package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"marimba/events"
	"marimba/functions/internal/annul"
	"marimba/functions/internal/counts/countstest"
	"marimba/functions/internal/journal"
)

// Books with votes of each kind balance, to the vote.
func TestAuditOfBooksThatBalance(t *testing.T) {
	h := furnish(t)
	result := h.audited(h.audit())
	if !result.Agree || len(result.Faults) > 0 {
		t.Fatalf("faults are\n%s", told(result))
	}
	want := map[string]auditRow{
		"rock":    {Cast: 15, Counted: 7, Duplicate: 3, OverLimit: 1, Refused: 3, Dead: 1},
		"each":    {Cast: 4, Counted: 2, OverLimit: 2},
		"latest":  {Cast: 5, Counted: 4, OverLimit: 1},
		"free":    {Cast: 10, Counted: 6, Duplicate: 1, Dead: 3},
		"nowhere": {Cast: 1, Refused: 1},
	}
	for _, c := range result.Contests {
		if c.Total != want[c.Contest] || !c.Board.Agree || c.Board.Votes.Redis != c.Board.Votes.Cast {
			t.Errorf("%s: %+v, want %+v; board %+v", c.Contest, c.Total, want[c.Contest], c.Board)
		}
		delete(want, c.Contest)
		for _, row := range c.Rows {
			if row.Cast != row.accounted() || row.Cast == 0 {
				t.Errorf("%s: %+v", c.Contest, row)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("without %v", want)
	}
	if want := (auditRead{Records: 14, Foreign: 1, Votes: 35, Entries: 12, Letters: 5}); result.Read != want {
		t.Errorf("read %+v, want %+v", result.Read, want)
	}
	if fmt.Sprint(result.Offsets) != "map[0:7 1:7]" || result.InFlight != 0 || !result.Began.Equal(noon.Add(time.Hour)) {
		t.Errorf("offsets %v, in flight %d, began %s", result.Offsets, result.InFlight, result.Began)
	}
	rock := result.Contests[slices.IndexFunc(result.Contests, func(c auditedContest) bool { return c.Contest == "rock" })]
	if want := (bandRow{Band: "Alux Nahual", threefold: threefold{6, 6, 6}}); fmt.Sprint(rock.Board.Bands[0]) != fmt.Sprint(want) || len(rock.Board.Bands) != 2 {
		t.Errorf("bands are %+v", rock.Board.Bands)
	}
	latest := result.Contests[slices.IndexFunc(result.Contests, func(c auditedContest) bool { return c.Contest == "latest" })]
	if latest.Board.Replaced != (threefold{1, 1, 1}) || latest.Board.Votes != (threefold{3, 3, 3}) {
		t.Errorf("latest: %+v", latest.Board)
	}

	one := h.audit()
	one.only = "each"
	if result := h.audited(one); !result.Agree || len(result.Contests) != 1 || result.Contests[0].Total.Cast != 4 {
		t.Errorf("each alone: %+v\n%s", result.Contests, told(result))
	}
}

// Of votes of one voter in one millisecond it is for Redis to say which counts:
// whichever it is, the books balance.
func TestAuditOfVotesAtOnce(t *testing.T) {
	h := newHouse(t)
	for i := range 8 {
		b := h.box("latest", events.ByHTTP, events.Vote{Name: fmt.Sprint("Band ", i), VoterKey: []byte("ana")})
		h.cast(b)
		h.carry(b)
	}
	result := h.audited(h.audit())
	total := result.Contests[0].Total
	if !result.Agree || total.Counted+total.OverLimit != 8 || total.OverLimit == 0 || result.Contests[0].Board.Votes != (threefold{1, 1, 1}) {
		t.Errorf("%+v\n%s", result.Contests, told(result))
	}
}

// entryOf returns a document of the log that a corruption may change.
func (h *house) entryOf(id string) *journal.Entry {
	h.t.Helper()
	i := slices.IndexFunc(h.journal.entries, func(e journal.Entry) bool { return e.ID == id })
	if i < 0 {
		h.t.Fatalf("no document %s", id)
	}
	e := &h.journal.entries[i]
	e.Box.Votes, e.States = slices.Clone(e.Box.Votes), slices.Clone(e.States)
	return e
}

func (h *house) voteOf(id string, i int) *events.Vote { return &h.entryOf(id).Box.Votes[i] }

// recount rebuilds Redis from the log, so that the two agree on what is wrong.
func (h *house) recount() {
	h.t.Helper()
	h.server.FlushAll()
	of := func(id string) events.Contest { return contestOf(testContests, id) }
	if err := countstest.Rebuild(h.t.Context(), h.store, of, h.journal.entries); err != nil {
		h.t.Fatal(err)
	}
}

// Each way in which books can be wrong is found, and named by its name alone.
// Boxes are those of furnish: 1 to 3 of rock, 4 of each, 5 and 6 of latest, 7 of
// free, 8 of nowhere, 9 late, 10 lost, 11 half, 12 again.
func TestAuditNamesEachFault(t *testing.T) {
	inRedis := []check{boardsDiffer}
	for _, test := range []struct {
		name   string
		change func(h *house)
		want   []check
		says   string // in an example
	}{
		{"a vote is lost on the way", func(h *house) {
			h.cast(h.box("free", events.ByHTTP, events.Vote{Name: "La Tona"}))
		}, []check{inFlight}, "box-13.0, received at 2026-11-24 12:00:00.000"},
		{"a vote of a clock that is ahead is lost", func(h *house) {
			h.cast(h.box("free", events.ByHTTP, events.Vote{Name: "La Tona", At: noon.Add(2 * time.Hour)}))
		}, []check{inFlight}, "box-13.0"},
		{"a document of the log is lost", func(h *house) {
			h.journal.entries = slices.DeleteFunc(h.journal.entries, func(e journal.Entry) bool { return e.ID == "box-2/refused" })
		}, []check{inFlight}, "box-2.0"},
		{"a counted vote is lost in the log", func(h *house) {
			h.journal.entries = slices.DeleteFunc(h.journal.entries, func(e journal.Entry) bool { return e.ID == "box-12/accepted" })
			h.recount()
		}, []check{inFlight}, "box-12.0"},
		{"a vote is counted that was never cast", func(h *house) {
			h.carry(h.box("free", events.ByHTTP, events.Vote{Name: "La Tona"}))
		}, []check{unbalanced, notCast, boardsDiffer}, "box-13.0: its box was never cast"},
		{"a vote is smuggled into a box", func(h *house) {
			e := h.entryOf("box-7/accepted")
			e.Box.Votes = append(e.Box.Votes, events.Vote{ID: "new", Name: "La Tona", Year: 1982, At: noon, Index: 77})
			e.States = append(e.States, events.Counted)
			h.recount()
		}, []check{unbalanced, notCast, boardsDiffer}, "box-7.77: there is no such vote in its box"},
		{"a box is both counted and refused", func(h *house) {
			e := *h.entryOf("box-9/accepted")
			e.ID, e.States, e.Box.Votes = "box-9/refused", []events.State{events.Refused}, slices.Clone(e.Box.Votes)
			e.Box.Votes[0].Reason = events.BandUnknown
			h.journal.entries = append(h.journal.entries, e)
			h.recount()
		}, []check{unbalanced, loggedTwice, judgedOtherwise, boardsDiffer}, "box-9.0"},
		{"a document is there twice", func(h *house) {
			h.journal.entries = append(h.journal.entries, *h.entryOf("box-8/refused"))
		}, []check{unbalanced, loggedTwice, figuresDiffer}, "document box-8/refused"},
		{"the id is another", func(h *house) { h.voteOf("box-7/accepted", 2).ID = "other" }, []check{voteChanged}, "id box-7-2, the log says other"},
		{"the voter is another", func(h *house) { h.voteOf("box-7/accepted", 2).VoterKey = []byte{0xab} }, []check{voteChanged}, "voter's key none, the log says ab"},
		{"the year is another", func(h *house) { h.voteOf("box-7/accepted", 2).Year = 1999 }, []check{voteChanged}, "year 1982, the log says 1999"},
		{"the rank is another", func(h *house) { h.voteOf("box-7/accepted", 2).Rank = 500; h.recount() }, []check{voteChanged, boardsDiffer}, "rank 0, the log says 5"},
		{"the time is another", func(h *house) { h.voteOf("box-7/accepted", 2).At = noon.Add(1e6) }, []check{voteChanged}, "received 2026-11-24 12:00:00 +0000 UTC, the log says 2026-11-24 12:00:00.001"},
		{"the sender's time is another", func(h *house) { h.voteOf("box-2/accepted", 2).CastAt = noon }, []check{voteChanged}, "cast_at 2026-11-24 11:00:00 +0000 UTC, the log says"},
		{"the channel is another", func(h *house) { h.entryOf("box-9/accepted").Box.Channel = events.ByEvent }, []check{unbalanced, voteChanged, figuresDiffer}, "channel grpc, the log says event"},
		{"the contest is another", func(h *house) { h.entryOf("box-9/accepted").Box.Contest = "each"; h.recount() },
			[]check{unbalanced, voteChanged, boardsDiffer}, "contest free, the log says each"},
		{"the band is another", func(h *house) { h.voteOf("box-9/accepted", 0).Name = "La Tona"; h.recount() },
			[]check{judgedOtherwise, boardsDiffer}, "name alux, the log says La Tona"},
		{"the album is another", func(h *house) { h.voteOf("box-1/accepted", 0).Album = "La Trampa"; h.recount() },
			[]check{judgedOtherwise, boardsDiffer}, "album Conquista, the log says La Trampa"},
		{"the shown spelling is another", func(h *house) { h.voteOf("box-7/accepted", 2).Name = "TREBOL"; h.recount() },
			[]check{judgedOtherwise, boardsDiffer}, "name Trébol, the log says TREBOL"},
		{"it was refused for another reason", func(h *house) { h.voteOf("box-2/refused", 0).Reason = events.YearOutOfRange; h.recount() },
			[]check{judgedOtherwise}, "reason band_unknown, the log says year_out_of_range"},
		{"a good vote was refused", func(h *house) {
			e := h.entryOf("box-9/accepted")
			e.ID, e.States = "box-9/refused", []events.State{events.Refused}
			e.Box.Votes[0].Reason, e.Box.Votes[0].Field = events.TooLate, ""
			h.recount()
		}, []check{judgedOtherwise}, "reason none, the log says too_late"},
		{"a late vote was counted", func(h *house) {
			v := events.Vote{Name: "Alux Nahual", Album: "Conquista", At: noon.Add(time.Hour)}
			b := h.box("rock", events.ByHTTP, v)
			h.cast(b)
			h.journal.entries = append(h.journal.entries, journal.Entry{ID: b.ID + "/accepted", Box: b, States: []events.State{events.Counted}})
			h.recount()
		}, []check{judgedOtherwise}, "reason too_late, the log says none"},
		{"an id is counted twice", func(h *house) {
			h.entryOf("box-7/accepted").States[1] = events.Counted
			h.server.HIncrBy("marimba:{free:0}:tally", "alux\x1fCONQUISTA\x1f300", 1)
			h.server.HIncrBy("marimba:{free:0}:figures", "wasm:counted", 1)
			h.server.HIncrBy("marimba:{free:0}:figures", "wasm:duplicate", -1)
		}, []check{idTwice}, "box-7.0 is counted, box-7.1 is counted"},
		{"an id is counted and over the limit", func(h *house) {
			h.entryOf("box-3/accepted").States[0] = events.OverLimit
			h.server.HIncrBy("marimba:{rock:0}:figures", "event:over_limit", 1)
			h.server.HIncrBy("marimba:{rock:0}:figures", "event:duplicate", -1)
		}, []check{idTwice}, "box-1.0 is counted, box-3.0 is over_limit"},
		{"a duplicate of nothing", func(h *house) { h.entryOf("box-9/accepted").States[0] = events.Duplicate; h.recount() },
			[]check{duplicateAlone}, "box-9.0 is duplicate"},
		{"more than the limit are counted", func(h *house) { h.entryOf("box-1/accepted").States[3] = events.Counted; h.recount() },
			[]check{limitExceeded}, "box-1.3 is counted; the limit is per_contest 2"},
		{"more than the limit of a band are counted", func(h *house) { h.entryOf("box-4/accepted").States[2] = events.Counted; h.recount() },
			[]check{limitExceeded}, "box-4.2 is counted, box-4.1 is over_limit; the limit is per_band 1"},
		{"over the limit too early", func(h *house) { h.entryOf("box-1/accepted").States[2] = events.OverLimit; h.recount() },
			[]check{overLimitEarly}, "box-1.0 is counted"},
		{"over the limit of a contest without", func(h *house) { h.entryOf("box-9/accepted").States[0] = events.OverLimit; h.recount() },
			[]check{overLimitEarly}, "box-9.0: no limit applies to it"},
		{"the latest did not replace", func(h *house) { h.entryOf("box-5/accepted").States[1] = events.OverLimit; h.recount() },
			[]check{overLimitEarly}, "box-5.0 is counted, box-5.1 is over_limit, box-6.0 is over_limit; the latest counts"},
		{"a state that there is not", func(h *house) { h.entryOf("box-12/accepted").States[0] = "lost" },
			[]check{logMalformed, inFlight}, `vote 0 is lost for reason ""`},
		{"a refusal among the admitted", func(h *house) { h.entryOf("box-12/accepted").States[0] = events.Refused },
			[]check{unbalanced, logMalformed, inFlight, figuresDiffer}, "box-12/accepted: vote 0 is refused"},
		{"a place that no box has", func(h *house) { h.voteOf("box-12/accepted", 0).Index = 500 },
			[]check{unbalanced, logMalformed, inFlight, boardsDiffer}, "vote 500: there is no such place"},
		{"a document of neither kind", func(h *house) { h.entryOf("box-12/accepted").ID = "box-12/other" },
			[]check{unbalanced, logMalformed, inFlight, boardsDiffer}, "is neither an accepted nor a refused box"},
		{"a box was cast twice, and changed", func(h *house) {
			b := h.topic.parts[0][0].box
			b.Votes = slices.Clone(b.Votes)
			b.Votes[0].Rank = 100
			h.cast(b)
		}, []check{castChanged}, "box box-1, again at partition 0, offset 7"},
		{"two votes of one receipt", func(h *house) {
			b := h.box("free", events.ByHTTP, events.Vote{Name: "La Tona"}, events.Vote{Name: "La Tona"})
			h.carry(events.Box{ID: b.ID, Contest: b.Contest, Channel: b.Channel, Votes: slices.Clone(b.Votes[:1])})
			b.Votes[1].Index = 0
			h.cast(b)
		}, []check{castMalformed}, "box-13.0 is the receipt of two votes"},
		{"votes.cast was cut", func(h *house) { h.topic.begins = 3 }, []check{castCut}, "partition 1 begins at offset 3"},
		{"a dead vote was never cast", func(h *house) {
			h.bury(events.TypeCast, h.box("free", events.ByHTTP, events.Vote{Name: "La Tona"}))
		}, []check{deadNotCast}, "box box-13"},
		{"a dead vote is another", func(h *house) {
			b := record(h.topic.parts[1][4].box).box
			b.Votes[1].Rank = 900
			h.journal.letters[1] = letterOf(h.t, events.TypeCast, b)
		}, []check{deadChanged}, "box-10.1: the letter holds another vote than was cast"},
		{"two letters differ", func(h *house) {
			b := record(h.topic.parts[1][4].box).box
			b.Votes[1].Rank = 900
			h.bury(events.TypeAccepted, b)
		}, []check{deadChanged}, "box-10.1: two letters differ"},
		{"a letter was replayed and did not arrive", func(h *house) { h.journal.letters[1].State = journal.Replayed }, []check{inFlight}, "box-10.0"},
		{"Redis counts a vote too many", func(h *house) {
			h.server.HIncrBy("marimba:{each:0}:tally", "La Tona\x1f\x1f0", 1)
		}, inRedis, "La Tona: album none, rank 0: 2 in Redis, 1 by the log, 1 by what was cast"},
		{"Redis has lost a vote", func(h *house) { h.server.HDel("marimba:{each:0}:tally", "La Tona\x1f\x1f0") }, inRedis, "0 in Redis, 1 by the log"},
		{"Redis has a band that there is not", func(h *house) { h.server.HSet("marimba:{each:0}:tally", "Nobody\x1f\x1f0", "1") }, inRedis, "1 in Redis, 0 by the log"},
		{"Redis shows another spelling", func(h *house) {
			h.server.HIncrBy("marimba:{free:0}:tally", "TREBOL\x1f\x1f0", 2)
			h.server.HIncrBy("marimba:{free:1}:tally", "Trébol\x1f\x1f0", -2)
		}, inRedis, "a spelling that is shown"},
		{"Redis has lost all", func(h *house) { h.server.FlushAll() }, []check{countsLost, boardsDiffer, figuresDiffer}, "0 in Redis"},
		{"a figure is wrong", func(h *house) { h.server.HIncrBy("marimba:{each:0}:figures", "http:over_limit", -1) },
			[]check{figuresDiffer}, "http over_limit: 1 in Redis, 2 in the log"},
		{"a figure is too high", func(h *house) { h.server.HIncrBy("marimba:{each:0}:figures", "http:counted", 1) },
			[]check{figuresDiffer}, "http counted: 3 in Redis, 2 in the log"},
		{"a reason is wrong", func(h *house) { h.server.HIncrBy("marimba:{nowhere:0}:reasons", "too_late", 1) },
			[]check{figuresDiffer}, "refused for too_late: 1 in Redis, 0 in the log"},
		{"the replaced are wrong", func(h *house) { h.server.HIncrBy("marimba:{latest:0}:figures", "replaced", 1) },
			[]check{figuresDiffer}, "replaced: 2 in Redis, 1 by the log"},
		{"a dead vote is on the board", func(h *house) {
			h.server.HIncrBy("marimba:{free:0}:tally", "alux\x1fCONQUISTA\x1f300", 1)
			h.server.HSet("marimba:{free:0}:pending", "box-10/accepted", "attempt|c")
		}, []check{pendingLeft, boardsDiffer}, "map[counted:1]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := furnish(t)
			test.change(h)
			result := h.audited(h.audit())
			if got := names(result); !slices.Equal(got, test.want) || result.Agree {
				t.Errorf("named are %v, want %v", got, test.want)
			}
			if !strings.Contains(told(result), test.says) {
				t.Errorf("without %q", test.says)
			}
			if t.Failed() {
				t.Log(told(result))
			}
		})
	}
}

// Annulled votes are a state of their own in the books, which balance with it; the
// counts and the log have them still. Votes that are annulled and were not reckoned
// so are told.
func TestAuditOfAnnulledVotes(t *testing.T) {
	h := furnish(t)
	h.audited(h.audit())
	c := testContests["rock"]
	r := ruling{contest: c, journal: ruledHouse{h.journal}, now: func() time.Time { return noon.Add(2 * time.Hour) }}
	for _, a := range []annul.Act{
		{Contest: c.ID, Kind: annul.Propose, By: "Ana", Reason: "bots", Filter: &annul.Filter{Band: "alux nahual"}},
		{Contest: c.ID, Kind: annul.Approve, Case: 1, By: "Eva"},
		{Contest: c.ID, Kind: annul.Approve, Case: 1, By: "Luis"},
	} {
		if _, err := r.add(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	result := h.audited(h.audit())
	total := result.Contests[slices.IndexFunc(result.Contests, func(c auditedContest) bool { return c.Contest == "rock" })].Total
	if want := (auditRow{Cast: 15, Counted: 1, Annulled: 6, Duplicate: 3, OverLimit: 1, Refused: 3, Dead: 1}); !result.Agree || total != want {
		t.Errorf("%+v, want %+v\n%s", total, want, told(result))
	}
	text := h.journal.kept[3]
	text.Text = strings.Replace(text.Text, `"votes":`, `"votes":1`, 1)
	h.journal.kept[3] = text
	if result := h.audited(h.audit()); result.Agree || result.Faults[0].Check != annulledDiffer {
		t.Errorf("another number was ruled: %s", told(result))
	}
}

// ruledHouse is the log of a house whose contests are final.
type ruledHouse struct{ *journalOf }

func (ruledHouse) Statement(context.Context, string) (journal.Statement, bool, error) {
	return journal.Statement{}, true, nil
}
