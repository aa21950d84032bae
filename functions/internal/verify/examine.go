package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"marimba/config"
	"marimba/events"
	"marimba/events/rules"
	"marimba/events/rules/abi"
	"marimba/events/seal"
	"marimba/events/seal/archive"
	"marimba/functions/internal/board"
)

// expected is what is known of an archive from elsewhere. What is empty is believed
// as the archive says it.
type expected struct {
	Key       string // of the log
	Statement string // digest
	Secret    string // of a vote that is looked for
}

// examiner works through one archive.
type examiner struct {
	report   *Report
	expected expected
	// each is told of every opening; nil: nobody wants to know.
	each func(archive.Line)

	checkpoint *seal.Checkpoint // nil: it cannot be believed
	contest    events.Contest   // without an id: its file cannot be read
	stated     statement
	judge      *judge
	looked     *seal.Salt

	opened, entered *leaves // of the openings, and of the log's entries
	astray          strays  // leaves whose entry is not their opening's
	tally           board.Histogram
	lines, most     int // of the tally
	channels        map[events.Channel]int64
	replaced        int64
	annulled        int64
	ruled           rulings
}

// examine works through an archive and reports all that was found. Only an archive
// that cannot be read at all is an error of its own, in the report.
func examine(of string, from io.Reader, known expected, each func(archive.Line)) (*Report, events.Contest) {
	e := newExaminer(of, known, each)
	if err := e.run(from); err != nil {
		e.check(filesWhole).fault("%s", strings.TrimPrefix(err.Error(), archive.ErrArchive.Error()+": "))
	} else {
		e.check(filesWhole).say("all there, in their order")
	}
	e.report.end()
	return e.report, e.contest
}

func newExaminer(of string, known expected, each func(archive.Line)) *examiner {
	return &examiner{
		report: newReport(of), expected: known, each: each, opened: newLeaves(true), entered: newLeaves(false),
		tally: make(board.Histogram), channels: make(map[events.Channel]int64), most: maxLines,
	}
}

func (e *examiner) check(name string) *Check { return e.report.check(name) }

func (e *examiner) run(from io.Reader) error {
	a, err := archive.Open(from)
	if err != nil {
		return err
	}
	f := a.Files
	e.report.Contest, e.report.Origin, e.report.MadeAt = f.Head.Contest, f.Head.Origin, f.MadeAt
	e.readCheckpoint(f)
	e.readStatement(f.Statement)
	e.readContest(f)
	e.readRulings(f.Annulments)
	if secret, ok := seal.ParseSecret(e.expected.Secret); ok {
		salt := secret.Salt()
		e.looked = &salt
	}
	for line, err := range a.Openings() {
		if err != nil {
			return err
		}
		if e.open(&line); e.lines > e.most {
			return fmt.Errorf("the votes are for more than %d different bands, albums and ranks: that is not checked", e.most)
		}
	}
	e.opened.end()
	e.report.Votes = e.opened.tree.Size()
	e.endOpenings()
	size := e.opened.tree.Size()
	if e.checkpoint != nil {
		size = e.checkpoint.Size
	}
	return e.walkTiles(a, size)
}

// readCheckpoint looks at the log's key, and at the checkpoint by it.
func (e *examiner) readCheckpoint(f archive.Files) {
	c, key := e.check(keyExpected), f.Key
	switch {
	case e.expected.Key == "":
		e.report.note("the log's key is the archive's own: --key holds it to one that was published")
		c.say("%s (believed: no key was given)", f.Key)
	case e.expected.Key != f.Key:
		key = e.expected.Key
		c.fault("the archive has the key %s, not %s", f.Key, key)
	default:
		c.say("%s", key)
	}
	c = e.check(signed)
	verifier, err := seal.Verifier(key)
	if err != nil {
		c.fault("%v", err)
		return
	}
	checkpoint, err := seal.Open(f.Checkpoint, verifier)
	if err != nil {
		c.fault("%v", err)
		return
	}
	if checkpoint.Origin != f.Head.Origin || !strings.HasSuffix(checkpoint.Origin, "/"+f.Head.Contest) {
		c.fault("it is of %q, and the archive of %q, contest %q", checkpoint.Origin, f.Head.Origin, f.Head.Contest)
	}
	if checkpoint.Size > archive.MaxVotes {
		c.fault("it is of %d leaves, and an archive holds no more than %d", checkpoint.Size, archive.MaxVotes)
		return
	}
	e.checkpoint = &checkpoint
	e.report.Root = checkpoint.Root.String()
	c.say("%s, %d leaves, root %s", checkpoint.Origin, checkpoint.Size, hashText(checkpoint.Root))
}

// readContest looks at the contest's file and its rules.
func (e *examiner) readContest(f archive.Files) {
	c := e.check(contestSame)
	if digest := digestOf(f.Contest); digest != e.stated.Revision {
		c.fault("its file has SHA-256 %s, and the statement is about %s", digest, e.stated.Revision)
	}
	contest, err := config.ReadContest(f.Head.Contest, f.Contest)
	if err != nil {
		c.fault("%v", err)
	} else {
		e.contest = contest
	}
	c.say("its file has SHA-256 %s", digestOf(f.Contest))

	c = e.check(rulesSame)
	house := digestOf(f.Rules)
	switch {
	case e.stated.Rules != "" && e.stated.Rules != house:
		c.fault("rules.wasm has SHA-256 %s, and the statement was made by %s", house, e.stated.Rules)
	case e.stated.Rules == "" && house != rules.Digest():
		c.fault("rules.wasm has SHA-256 %s; the statement names none, and it is not this program's, %s", house, rules.Digest())
	case house != rules.Digest():
		e.report.note("the house's rules are of another time than this program: they run in the sandbox")
	}
	own := ""
	if f.Own != nil {
		own = digestOf(f.Own)
	}
	if own != e.contest.Rules.SHA256 && e.contest.ID != "" {
		c.fault("own.wasm has SHA-256 %q, and the contest's file names %q", own, e.contest.Rules.SHA256)
	} else if f.Own != nil {
		if err := abi.Check(f.Own); err != nil {
			c.fault("own.wasm: %v", err)
		}
		e.contest.Rules.Code = f.Own
	}
	c.say("rules.wasm has SHA-256 %s", house)
	if e.contest.ID != "" {
		e.judge = newJudge(e.contest, f.Rules)
	}
}

// maxLines bounds what different things votes may be for: each takes memory.
const maxLines = 2 << 20

// open looks at one opening.
func (e *examiner) open(l *archive.Line) {
	leaf := e.opened.tree.Size()
	e.opened.add(l.Opening.Commit(l.Salt))
	e.channels[l.Opening.Channel]++
	switch l.Mark {
	case archive.Replaced:
		e.replaced++
	case archive.Annulled:
		e.annulled++
		fallthrough
	default:
		if e.tally[l.Opening.Name][l.Opening.Album][l.Opening.Rank] == 0 {
			e.lines++
		}
		e.tally.Add(l.Opening.Name, l.Opening.Album, l.Opening.Rank, 1)
	}
	e.mark(leaf, l)
	if e.looked != nil && *e.looked == l.Salt {
		o := &l.Opening
		e.report.Vote = &Found{leaf, string(o.Channel), o.Name, o.Album, o.Year, events.FormatRank(o.Rank), string(l.Mark)}
	}
	if e.judge != nil {
		if fault := e.judge.fault(&l.Opening); fault != "" {
			e.check(votesAllowed).fault("leaf %d, %s, %s: %s", leaf, l.Opening.Name, l.Opening.Album, fault)
		}
	}
	if !isChannel(l.Opening.Channel) {
		e.check(votesAllowed).fault("leaf %d came by %q, which is no channel", leaf, l.Opening.Channel)
	}
	if e.each != nil {
		e.each(*l)
	}
}

func isChannel(c events.Channel) bool {
	for _, known := range events.Channels {
		if c == known {
			return true
		}
	}
	return false
}

// endOpenings holds the openings, all of which were seen, to all but the tiles.
func (e *examiner) endOpenings() {
	c := e.check(sizeAgrees)
	if n := e.opened.tree.Size(); e.checkpoint != nil && n != e.checkpoint.Size {
		c.fault("the checkpoint is of %d leaves, and there are %d openings", e.checkpoint.Size, n)
	}
	c.say("%d openings", e.opened.tree.Size())

	c = e.check(noneTwice)
	e.opened.twice(func(first, again uint64) { c.fault("leaves %d and %d are the same vote", first, again) })
	c.say("no commitment stands twice")

	c = e.check(votesAllowed)
	if e.judge == nil {
		c.fault("without the contest's file no vote can be judged")
	} else {
		c.say("each is as the rules admit it, at %s", e.judge.at.UTC().Format(time.RFC3339))
	}
	e.endStatement()
	e.endCounts()
	e.endBoard()
	e.endRulings()
}

// strays are leaves at which openings and entries differ.
type strays struct {
	first []uint64
	count int
}

func (s *strays) add(leaf uint64) {
	if s.count++; s.count <= toldFaults {
		s.first = append(s.first, leaf)
	}
}

// walkTiles holds the log's tiles to the root and to the openings.
func (e *examiner) walkTiles(a *archive.Reader, size uint64) error {
	entered := false
	var truth *leaves // what the hash tiles should be of
	for tile, err := range a.Tiles(size) {
		if err != nil {
			return err
		}
		if tile.Level == seal.Entries {
			if err := e.enter(tile); err != nil {
				return err
			}
			continue
		}
		if !entered {
			entered, truth = true, e.endEntries()
		}
		if sha256.Sum256(tile.Data) != truth.digest[tile.TileName] {
			e.check(tilesHold).fault("%s", e.strayTile(tile))
		}
	}
	if !entered {
		e.endEntries()
	}
	e.check(tilesHold).say("each is of the tree over the entries")
	return nil
}

// enter holds a tile of entries to the openings.
func (e *examiner) enter(tile archive.Tile) error {
	entries, err := seal.ReadEntries(tile.Data, tile.Width)
	if err != nil {
		return errors.Join(archive.ErrArchive, err)
	}
	for _, entry := range entries {
		leaf := e.entered.tree.Size()
		if opening, ok := e.opened.at(leaf); !ok || opening != entry {
			e.astray.add(leaf)
		}
		e.entered.add(entry)
	}
	return nil
}

// endEntries says which of openings and entries lead to the checkpoint's root, and
// returns what the hash tiles should be of.
func (e *examiner) endEntries() (truth *leaves) {
	e.entered.end()
	root := e.entered.tree.Root()
	openedHold, enteredHold := true, true
	c := e.check(rootMade)
	if e.checkpoint == nil {
		c.fault("there is no checkpoint to be believed; the entries make %s", root)
	} else {
		enteredHold = root == e.checkpoint.Root
		openedHold = e.opened.tree.Root() == e.checkpoint.Root
		if !enteredHold {
			c.fault("the checkpoint states %s, and the entries make %s", e.checkpoint.Root, root)
		}
	}
	c.say("%s", root)

	opened, entered := e.check(openingsHold), e.check(entriesHold)
	for _, leaf := range e.astray.first {
		if !openedHold || enteredHold {
			opened.fault("leaf %d is not what the log committed to", leaf)
		}
		if !enteredHold {
			entered.fault("leaf %d, in %s, is not the commitment of its opening", leaf, entryTile(leaf, e.entered.tree.Size()))
		}
	}
	for _, c := range []*Check{opened, entered} {
		if c.Count > 0 {
			c.Count = e.astray.count
		}
	}
	opened.say("each is what its leaf commits to")
	entered.say("each is in the tree of the root")
	if !enteredHold && openedHold {
		return e.opened
	}
	return e.entered
}

func entryTile(leaf, size uint64) string {
	index := leaf / seal.TileWidth
	return seal.TileName{Level: seal.Entries, Index: index, Width: seal.WidthIn(size, seal.Entries, index)}.Path()
}

// strayTile says where a hash tile is not what it should be.
func (e *examiner) strayTile(tile archive.Tile) string {
	if tile.Level == 0 {
		for i := range tile.Width {
			leaf := tile.Index*seal.TileWidth + uint64(i)
			commitment, ok := e.opened.at(leaf)
			hash := seal.LeafHash(commitment)
			if ok && !bytes.Equal(hash[:], tile.Data[i*seal.HashSize:(i+1)*seal.HashSize]) {
				return tile.Path() + ": leaf " + decimal(leaf) + " has another hash"
			}
		}
	}
	return tile.Path() + " is not of the tree"
}
