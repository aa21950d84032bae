package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"marimba/events"
	"marimba/events/seal"
	"marimba/functions/internal/tlog"
)

// unsealed is a public log that a notary has not begun with: all is on its way.
type unsealed struct{}

func (unsealed) Batches(context.Context, string) iter.Seq2[sealedBatch, error] {
	return func(func(sealedBatch, error) bool) {}
}

func (unsealed) Checkpoint(context.Context, string) (sealedAs, bool, error) {
	return sealedAs{}, false, nil
}

func (unsealed) Behind(context.Context) (int64, error) { return 1, nil }

// sealedOf is a public log in memory, whose notary has done its work.
type sealedOf struct {
	t       *testing.T
	batches map[string][]sealedBatch
	behind  int64
}

func (s *sealedOf) Batches(_ context.Context, contest string) iter.Seq2[sealedBatch, error] {
	return func(yield func(sealedBatch, error) bool) {
		for _, b := range s.batches[contest] {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func (s *sealedOf) Checkpoint(_ context.Context, contest string) (sealedAs, bool, error) {
	all := s.batches[contest]
	if len(all) == 0 {
		return sealedAs{}, false, nil
	}
	last := all[len(all)-1]
	return sealedAs{seal.Origin("test", contest), last.size, last.root.String()}, true, nil
}

func (s *sealedOf) Behind(context.Context) (int64, error) { return s.behind, nil }

func signerOf(t *testing.T, contest string) (note.Signer, string) {
	t.Helper()
	seed, err := seal.Seed([]byte("a key"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := seal.Signer(seed, seal.Origin("test", contest))
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.VerifierKey(seed, seal.Origin("test", contest))
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// write makes a contest's log of leaves, of which so many are in a batch.
func (s *sealedOf) write(contest string, each int, all []tlog.Leaf) {
	s.t.Helper()
	signer, key := signerOf(s.t, contest)
	tree := seal.NewTree(nil)
	s.batches[contest] = nil
	for part := range slices.Chunk(all, each) {
		b := sealedBatch{n: int64(len(s.batches[contest]) + 1), first: tree.Size(), key: key}
		for i := range part {
			part[i].At = tree.Size()
			tree.Append(part[i].Entry)
		}
		b.size, b.root, b.leaves = tree.Size(), tree.Root(), slices.Values(part)
		var err error
		if b.checkpoint, err = seal.Sign(seal.Checkpoint{Origin: signer.Name(), Size: b.size, Root: b.root}, signer); err != nil {
			s.t.Fatal(err)
		}
		s.batches[contest] = append(s.batches[contest], b)
	}
}

// leavesOf are the leaves that a contest's counted votes have by the log of votes.
func leavesOf(t *testing.T, log *journalOf, contest string) []tlog.Leaf {
	t.Helper()
	secrets := seal.NewSecrets([]byte("a secret"))
	var out []tlog.Leaf
	for e, err := range log.Entries(t.Context(), contest) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range e.Box.Votes {
			if v := &e.Box.Votes[i]; e.States[i] == events.Counted {
				out = append(out, tlog.Leaf{Entry: tlog.Commit(secrets, e.Box, v), Box: e.Box.ID, Index: v.Index})
			}
		}
	}
	slices.SortFunc(out, func(a, b tlog.Leaf) int { return bytes.Compare(a.Entry[:], b.Entry[:]) })
	return out
}

// seal seals all that a house's log calls counted.
func (h *house) seal() *sealedOf {
	h.t.Helper()
	s := &sealedOf{t: h.t, batches: make(map[string][]sealedBatch)}
	for _, contest := range testContests.IDs() {
		s.write(contest, 3, leavesOf(h.t, h.journal, contest))
	}
	h.public = s
	return s
}

// leavesTold are the faults that concern the public log.
func leavesTold(result audited) (out []string) {
	for _, f := range result.Faults {
		if name := string(f.Check); strings.HasPrefix(name, "leaves_") || name == "log_forged" {
			out = append(out, fmt.Sprintf("%s %s %d", f.Check, f.Contest, f.Votes))
		}
	}
	return out
}

// Each counted vote has its leaf, in contests of each kind of limit, and the books
// balance; what is told of each log is what it holds.
func TestAuditOfLeavesThatBalance(t *testing.T) {
	h := furnish(t)
	h.seal()
	result := h.audited(h.audit())
	if !result.Agree {
		t.Fatalf("faults are\n%s", told(result))
	}
	for _, c := range result.Contests {
		if c.Log.Leaves != c.Total.Counted || c.Log.Unsealed != 0 || c.Log.Shelved != 0 || (c.Log.Root == "") != (c.Total.Counted == 0) {
			t.Errorf("%s: %d counted, log %+v", c.Contest, c.Total.Counted, c.Log)
		}
	}
}

// Every way in which the public log can be another than the log of votes is named,
// with the votes that it concerns.
func TestAuditOfLeaves(t *testing.T) {
	few := func(all []tlog.Leaf) []tlog.Leaf { return all[:len(all)-2] }
	for name, c := range map[string]struct {
		breaks func(h *house, s *sealedOf)
		want   []string
	}{
		"two votes have no leaf": {func(h *house, s *sealedOf) {
			s.write("rock", 3, few(leavesOf(h.t, h.journal, "rock")))
		}, []string{"leaves_few rock 2"}},
		"a vote has two leaves": {func(h *house, s *sealedOf) {
			all := leavesOf(h.t, h.journal, "rock")
			s.write("rock", 3, append(all, all[0]))
		}, []string{"leaves_many rock 1"}},
		"one of another box, and one of another place": {func(h *house, s *sealedOf) {
			all := leavesOf(h.t, h.journal, "free")
			s.write("free", 3, append(all, tlog.Leaf{Box: "box-99"}, tlog.Leaf{Box: all[0].Box, Index: 499}))
		}, []string{"leaves_unknown free 2"}},
		"of a vote of another contest": {func(h *house, s *sealedOf) {
			all := leavesOf(h.t, h.journal, "free")
			s.write("free", 3, append(all, leavesOf(h.t, h.journal, "rock")[0]))
		}, []string{"leaves_unknown free 1"}},
		"moved to another contest's log": {func(h *house, s *sealedOf) {
			rock := leavesOf(h.t, h.journal, "rock")
			s.write("free", 3, append(leavesOf(h.t, h.journal, "free"), rock[0]))
			s.write("rock", 3, rock[1:])
		}, []string{"leaves_few rock 1", "leaves_unknown free 1"}},
		"of a vote that is no longer counted": {func(h *house, _ *sealedOf) {
			for i, e := range h.journal.entries {
				if at := slices.Index(e.States, events.Counted); e.Box.Contest == "free" && at >= 0 {
					h.journal.entries[i].States = slices.Clone(e.States)
					h.journal.entries[i].States[at] = events.Duplicate
					return
				}
			}
		}, []string{"leaves_many free 1"}},
		"a leaf was changed": {func(_ *house, s *sealedOf) {
			b := &s.batches["rock"][1]
			changed := slices.Collect(b.leaves)
			changed[0].Entry[5] ^= 1
			b.leaves = slices.Values(changed)
		}, []string{"log_forged rock 0"}},
		"a checkpoint is of another key": {func(h *house, s *sealedOf) {
			_, s.batches["rock"][0].key = signerOf(h.t, "free")
		}, []string{"log_forged rock 0"}},
		"a checkpoint is another's": {func(_ *house, s *sealedOf) {
			s.batches["rock"][1].checkpoint = s.batches["rock"][0].checkpoint
		}, []string{"log_forged rock 0"}},
		"a batch is missing": {func(_ *house, s *sealedOf) {
			s.batches["rock"] = slices.Delete(s.batches["rock"], 0, 1)
		}, []string{"leaves_few rock 3", "log_forged rock 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := furnish(t)
			s := h.seal()
			c.breaks(h, s)
			result := h.audited(h.audit())
			if got := leavesTold(result); !slices.Equal(got, c.want) || result.Agree {
				t.Errorf("got %q, want %q\n%s", got, c.want, told(result))
			}
		})
	}
}

// While anything is yet to be delivered, a vote without a leaf is on its way; one
// whose announcement is a dead letter is told of, and is neither dead nor missing.
func TestAuditOfLeavesOnTheirWay(t *testing.T) {
	h := furnish(t)
	s := h.seal()
	all := leavesOf(t, h.journal, "free")
	s.write("free", 3, slices.DeleteFunc(slices.Clone(all), func(l tlog.Leaf) bool { return l.Box == all[0].Box }))
	missing := int64(len(all)) - int64(s.batches["free"][len(s.batches["free"])-1].size)

	s.behind = 1
	logOf := func(result audited) auditedLog {
		return result.Contests[slices.IndexFunc(result.Contests, func(c auditedContest) bool { return c.Contest == "free" })].Log
	}
	result := h.audited(h.audit())
	if !result.Agree || logOf(result).Unsealed != missing {
		t.Errorf("on its way: %+v\n%s", logOf(result), told(result))
	}
	s.behind = 0
	if got := leavesTold(h.audited(h.audit())); !slices.Equal(got, []string{fmt.Sprintf("leaves_few free %d", missing)}) {
		t.Errorf("at rest: %q", got)
	}
	row, _, _ := h.journal.Vote(t.Context(), all[0].Box, all[0].Index)
	h.bury(events.TypeCounted, events.Box{ID: all[0].Box, Contest: "free", Channel: row.Channel, Votes: []events.Vote{row.Vote}})
	if result = h.audited(h.audit()); !result.Agree || logOf(result).Shelved != missing || logOf(result).Unsealed != 0 {
		t.Errorf("on the shelf: %+v\n%s", logOf(result), told(result))
	}
}
